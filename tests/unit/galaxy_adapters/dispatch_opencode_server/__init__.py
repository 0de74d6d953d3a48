"""Tests of the opencode server's dispatcher."""
