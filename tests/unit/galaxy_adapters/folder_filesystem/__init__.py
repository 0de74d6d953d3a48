"""Tests of what lies in a folder."""
