"""Tests of what both opencode dispatchers share."""
