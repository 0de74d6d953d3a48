"""Orders' own folders."""
