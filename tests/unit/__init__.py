"""Tests without sleep, network or disk outside tmp_path."""
