"""Tests of `old_filesystem`."""
