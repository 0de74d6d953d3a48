"""Tests of the file queue's parts."""
