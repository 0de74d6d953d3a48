"""`NoteStore` in an SQLite database.

A write-ahead log with a full sync at each commit: readers never wait for writers, and what a
method has returned from survives a power cut.  A process killed in the middle leaves a
transaction without its end, which the next one passes over.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from galaxy_adapters.notes_sqlite import _rows
from galaxy_adapters.notes_sqlite._database import Database
from galaxy_adapters.notes_sqlite._group import Writers
from galaxy_adapters.notes_sqlite._opening import Opening
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.note_store import ClosedKey, Note, NoteStore

__all__ = ["BUSY_TIMEOUT", "SqliteNoteStore"]

BUSY_TIMEOUT = timedelta(seconds=10)
"""Transactions take milliseconds; who holds on for longer was stopped, and may stay so."""
_READERS = 4


class SqliteNoteStore(NoteStore):
    """Notes in the database at `path`, made with its folder when it is missing.

    Belongs to one event loop; other processes, and other stores on the same file, may write too.
    `busy_timeout` is how long they may hold everybody up before `StorageUnavailable`.  A database
    that is damaged is kept under another name, reported, and begun anew: a gateway that cannot
    start costs more than its open questions.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        incidents: IncidentSink,
        *,
        busy_timeout: timedelta = BUSY_TIMEOUT,
    ) -> None:
        self._clock = clock
        self._database = Database(Opening(path, clock, incidents, busy_timeout))
        self._writers = Writers(self._database)
        # Threads of its own: a lookup must not wait until slow writes of others have ended.
        self._reading = anyio.CapacityLimiter(_READERS)

    async def __aenter__(self) -> Self:
        """Open the database, so that what stands in the way is said at the start."""
        await to_thread.run_sync(self._database.open)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Finish what was handed in, close the files; calls after that are refused.  Safe twice."""
        with anyio.CancelScope(shield=True):  # a few transactions at most
            await self._writers.finish()
            await to_thread.run_sync(self._database.close)

    async def get(self, kind: str, key: str) -> Note | None:
        deed = partial(_rows.get, kind=kind, key=key)
        return await to_thread.run_sync(self._database.read, deed, limiter=self._reading)

    async def list(self, kind: str) -> Sequence[Note]:
        deed = partial(_rows.list_open, kind=kind)
        return await to_thread.run_sync(self._database.read, deed, limiter=self._reading)

    async def add(self, notes: Sequence[Note]) -> frozenset[str]:
        rows = _rows.rows_of(notes)
        if not rows:
            await checkpoint()
            return frozenset()
        return await self._writers.do(partial(_rows.add, rows=rows))

    async def put(self, notes: Sequence[Note]) -> None:
        rows = _rows.rows_of(notes)
        if not rows:
            await checkpoint()
            return
        await self._writers.do(partial(_rows.put, rows=rows))

    async def close(self, kind: str, keys: Collection[str]) -> None:
        if not keys:
            await checkpoint()
            return
        at = self._clock.now()
        await self._writers.do(partial(_rows.close, kind=kind, keys=tuple(keys), at=at))

    async def prune(self, kind: str, before: datetime) -> int:
        return await self._writers.do(partial(_rows.prune, kind=kind, before=before))

    async def closed(
        self, kind: str, *, after: ClosedKey | None = None, limit: int = 1000
    ) -> Sequence[ClosedKey]:
        deed = partial(_rows.list_closed, kind=kind, after=after, limit=limit)
        return await to_thread.run_sync(self._database.read, deed, limiter=self._reading)
