"""Tests of galaxy_apps.services."""
