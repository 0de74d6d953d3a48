"""Tests of process trees."""
