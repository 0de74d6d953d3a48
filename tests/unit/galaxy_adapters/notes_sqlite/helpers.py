"""Small stores for the tests."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

from attrs import define, field

from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_core.ports.note_store import Note
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink

PATIENCE = timedelta(seconds=30)


def note(key: str, value: object = 1) -> Note:
    """A note with one member."""
    return Note(kind="ask", key=key, value={"value": str(value)})


@define(eq=False)
class Place:
    """Where a database lies, and what was reported about it."""

    path: Path
    clock: ManualClock = field(factory=ManualClock)
    incidents: MemoryIncidentSink = field(factory=MemoryIncidentSink)

    def store(self, *, busy_timeout: timedelta = PATIENCE) -> SqliteNoteStore:
        """A store that was not opened yet."""
        return SqliteNoteStore(self.path, self.clock, self.incidents, busy_timeout=busy_timeout)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SqliteNoteStore]:
        """Open it as a process that has just started does."""
        async with self.store() as store:
            yield store

    async def keys(self) -> list[str]:
        """The keys that are open, as the next process finds them."""
        async with self.opened() as store:
            return [each.key for each in await store.list("ask")]

    def beside(self, ending: str) -> Path:
        """A file that belongs to the database."""
        return self.path.with_name(self.path.name + ending)

    def aside(self) -> list[str]:
        """Names of what was set aside."""
        return sorted(path.name for path in self.path.parent.glob("*.corrupt-*"))

    def execute(self, *statements: str) -> None:
        """Change the database as another program."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)
