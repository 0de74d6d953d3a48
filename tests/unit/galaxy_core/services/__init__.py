"""Use cases over the in-memory adapters."""
