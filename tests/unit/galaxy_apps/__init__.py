"""Tests of galaxy_apps."""
