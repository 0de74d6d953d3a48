"""Tests of galaxy_apps.cli."""
