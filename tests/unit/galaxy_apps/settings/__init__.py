"""Tests of galaxy_apps.settings."""
