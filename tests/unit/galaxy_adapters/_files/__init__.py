"""Tests of the shared file helpers."""
