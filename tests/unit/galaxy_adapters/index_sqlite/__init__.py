"""Tests of the index of the trail on disk."""
