"""Applications: settings, logging, wiring and the entry points."""
