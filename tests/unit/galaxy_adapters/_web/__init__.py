"""Tests of what everything that speaks HTTP shares."""
