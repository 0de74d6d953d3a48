"""Tests: unit mirrors src, contract inherits galaxy_core.testing, integration uses real servers."""
