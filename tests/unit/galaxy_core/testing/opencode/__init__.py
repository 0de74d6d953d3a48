"""The fake opencode."""
