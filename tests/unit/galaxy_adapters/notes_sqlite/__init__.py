"""Tests of the notes in SQLite."""
