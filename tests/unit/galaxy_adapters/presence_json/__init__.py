"""Tests of the heartbeat file."""
