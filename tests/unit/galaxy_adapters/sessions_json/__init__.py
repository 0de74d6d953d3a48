"""Tests of the sessions file."""
