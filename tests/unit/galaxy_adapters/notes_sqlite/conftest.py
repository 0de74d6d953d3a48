"""What these tests share."""

from pathlib import Path

import pytest

from tests.unit.galaxy_adapters.notes_sqlite.helpers import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A folder in which no database lies yet."""
    return Place(tmp_path / "state" / "gateway.sqlite3")
