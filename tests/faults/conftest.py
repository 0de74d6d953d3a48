"""Fixtures for tests of failures."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give an empty folder in memory, where that can be had: for losses of processes only."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    with tempfile.TemporaryDirectory(
        prefix="galaxy-faults-", dir=memory if memory.is_dir() else None
    ) as name:
        yield Path(name)
