"""A day of work in minutes: what grows, and what does not."""
