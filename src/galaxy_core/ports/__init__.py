"""What the core needs from the outside, one port a file; the docstrings are the specification."""
