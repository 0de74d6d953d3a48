"""Values and decisions: no I/O, no clocks, no surprises."""
