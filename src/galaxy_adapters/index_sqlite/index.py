"""`TrailIndex` in an SQLite file with a write-ahead log: readers and the feeder never wait.

A feeder that is killed leaves whole transactions: lines, counters and the mark behind them.  The
next one goes on at the mark.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_adapters.index_sqlite import _adding, _asking, _schema
from galaxy_adapters.index_sqlite._file import IndexFile
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import AuditPage, Slot
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.trail_index import AuditSearch, TrailFeeder, TrailIndex, TrailTotals

__all__ = ["SqliteTrailIndex"]

T = TypeVar("T")
_READERS = 4


class SqliteTrailIndex(TrailIndex):
    """The index in the file `path`, made with its folder when it is first fed.

    Belongs to one event loop; other processes, and other indexes on the same file, may read and
    feed too.
    """

    def __init__(self, path: Path) -> None:
        self._file = IndexFile(path)
        # Threads of its own: figures must not wait until searches of others have ended.
        self._searching = anyio.CapacityLimiter(_READERS)
        self._counting = anyio.CapacityLimiter(_READERS)

    async def aclose(self) -> None:
        """Close the files.  Safe twice; a call after it opens them again."""
        await to_thread.run_sync(self._file.close)

    def feeder(self) -> AbstractAsyncContextManager[TrailFeeder | None]:
        return self._feeding()

    @asynccontextmanager
    async def _feeding(self) -> AsyncIterator[TrailFeeder | None]:
        held = await to_thread.run_sync(self._file.lock)
        if held is None:
            yield None
            return
        with held:
            connection = await to_thread.run_sync(self._file.open_for_feeding)
            try:
                yield _SqliteFeeder(self._file, connection)
            finally:
                with anyio.CancelScope(shield=True):  # moves the log into the file
                    await to_thread.run_sync(connection.close)

    async def totals(self) -> TrailTotals:
        deed = partial(self._file.read, _asking.totals, _asking.empty_totals())
        return await to_thread.run_sync(deed, limiter=self._counting)

    async def of_order(self, order_id: OrderId) -> Sequence[AuditEvent]:
        return await self._ask(partial(_asking.of_order, order_id=order_id), ())

    async def ended(
        self,
        *,
        machines: frozenset[str] | None = None,
        states: frozenset[OrderState] | None = None,
        limit: int = 50,
        skip: int = 0,
    ) -> Sequence[OrderId]:
        deed = partial(_asking.ended, machines=machines, states=states, limit=limit, skip=skip)
        return await self._ask(deed, ())

    async def search(
        self, wanted: AuditSearch, *, cursor: str | None = None, limit: int = 100
    ) -> AuditPage:
        deed = partial(_asking.search, wanted=wanted, cursor=cursor, limit=limit)
        return await self._ask(deed, AuditPage(events=()))

    async def slots(self, since: datetime, width: timedelta, number: int) -> Sequence[Slot]:
        deed = partial(_asking.slots, since=since, width=width, number=number)
        empty = [Slot(begins=since + width * place) for place in range(number)]
        return await self._ask(deed, empty)

    async def _ask(self, deed: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        read = partial(self._file.read, deed, otherwise)
        return await to_thread.run_sync(read, limiter=self._searching)


@define(eq=False)
class _SqliteFeeder(TrailFeeder):
    _file: IndexFile
    _connection: sqlite3.Connection
    _ids: dict[str, int] = field(factory=dict, init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def marks(self) -> Mapping[str, str]:
        return await self._do(
            lambda connection: dict(connection.execute("SELECT trail, mark FROM marks"))
        )

    async def add(self, trail: str, events: Sequence[AuditEvent], mark: str) -> None:
        await self._do(
            lambda connection: _adding.Adding(connection, self._ids).add(trail, events, mark)
        )

    async def add_earlier(self, machine: str, ended: Mapping[OrderState, int]) -> None:
        await self._do(partial(_adding.add_earlier, machine=machine, ended=ended))

    async def has_earlier(self, machine: str) -> bool:
        found = await self._do(
            lambda connection: connection.execute(
                "SELECT 1 FROM counters WHERE kind = ? AND a = ?",
                (_schema.EARLIER_KNOWN, machine),
            ).fetchone()
        )
        return found is not None

    async def forget_before(self, trail: str, first: AuditEvent) -> int:
        return await self._do(partial(_adding.forget_before, trail=trail, first=first))

    async def begin_anew(self) -> None:
        await self._do(_adding.forget)
        self._ids.clear()

    async def _do(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        async with self._turn:
            return await to_thread.run_sync(self._transact, deed)

    def _transact(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        if self._file.is_reported_damaged():
            raise StorageUnavailable(f"The index {self._file.path} is damaged; it is made anew.")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = deed(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                self._ids.clear()  # names added in vain are forgotten by the file too
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as error:
            raise self._file.unavailable("feed", error) from error
        return result
