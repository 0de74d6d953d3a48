"""The protocol's JSON and Markdown forms <-> domain values."""
