"""Tests of watchers and alerts."""
