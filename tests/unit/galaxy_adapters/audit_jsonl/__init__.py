"""Tests of the audit trail on disk."""
