"""The gateway over the in-memory adapters."""
