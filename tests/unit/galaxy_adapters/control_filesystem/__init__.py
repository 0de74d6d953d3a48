"""Tests of the commands folder."""
