"""The operator's command line, `galaxy`."""
