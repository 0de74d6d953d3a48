"""The dispatcher on `opencode run`."""
