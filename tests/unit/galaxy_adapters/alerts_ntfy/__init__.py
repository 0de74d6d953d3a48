"""Tests of alerts by webhook."""
