"""The courier over the in-memory adapters."""
