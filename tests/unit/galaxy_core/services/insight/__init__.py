"""Tests of what is seen of machines and orders."""
