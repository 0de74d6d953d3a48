"""The protocol on disk, read and written."""
