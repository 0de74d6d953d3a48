"""Notes in SQLite, under the suite of their port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_core.ports.note_store import NoteStore
from galaxy_core.testing.contracts import NoteStoreContract, NoteStoreHarness
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout


class SqliteNoteStoreHarness(NoteStoreHarness):
    """A database, opened by several stores that share nothing but the file."""

    def __init__(self, folder: Path) -> None:
        self.path = Layout(folder).gateway_notes
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self._open: list[SqliteNoteStore] = []

    async def open(self) -> NoteStore:
        store = SqliteNoteStore(self.path, self.clock, self.incidents)
        self._open.append(store)
        return await store.__aenter__()

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def restart(self) -> None:
        for store in self._open:
            await store.aclose()
        self._open.clear()

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        away = self.path.rename(self.path.with_name("away"))
        self.path.mkdir()
        yield
        self.path.rmdir()
        away.rename(self.path)


class TestSqliteNoteStore(NoteStoreContract):
    """Notes."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[SqliteNoteStoreHarness]:
        """Give a machine whose gateway has nothing to remember; nothing may be set aside."""
        harness = SqliteNoteStoreHarness(tmp_path)
        yield harness
        await harness.restart()
        assert harness.incidents.kinds == []
