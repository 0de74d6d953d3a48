"""Writers that come together share one transaction, and so one sync.

Who finds nobody writing takes everything that waits, its own call first, into a thread; who
comes meanwhile waits, and the first of those writes next.  So a call alone costs one sync, and
thirty-two at once cost two.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeVar, cast

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_adapters.notes_sqlite._database import Database, Deed
from galaxy_core.domain.errors import StorageUnavailable

T = TypeVar("T")

_LARGEST = 256
"""Calls in one transaction: it has to fit into memory and log."""


@define(eq=False)
class _Call:
    """One caller's deed on its way to the disk."""

    deed: Deed
    turn: anyio.Event = field(factory=anyio.Event)
    """Set when the deed was done or refused, or when this call is to write."""
    is_settled: bool = False
    answer: object = None


@define(eq=False)
class Writers:
    """The writing tasks of one process, on one event loop."""

    database: Database
    _waiting: list[_Call] = field(factory=list, init=False)
    _is_writing: bool = field(default=False, init=False)
    _is_closed: bool = field(default=False, init=False)
    _rest: anyio.Event | None = field(default=None, init=False)

    async def do(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        """Do it durably, beside whatever else waits.  Raises `StorageUnavailable`."""
        if self._is_closed:
            raise self.database.closed()
        call = _Call(deed)
        self._waiting.append(call)
        if self._is_writing:
            await self._wait(call)
        if not call.is_settled:
            await self._write_what_waits()
        if isinstance(call.answer, StorageUnavailable):
            raise call.answer
        return cast("T", call.answer)

    async def finish(self) -> None:
        """Take nothing more, and wait until all that was handed in is written."""
        self._is_closed = True
        while self._is_writing:
            if self._rest is None:
                self._rest = anyio.Event()
            await self._rest.wait()

    async def _wait(self, call: _Call) -> None:
        try:
            await call.turn.wait()
        except BaseException:
            # Cancelled: what no thread has yet is dropped, the rest is written all the same.  A
            # turn that was handed over in the same moment goes on to the next.
            if call in self._waiting:
                self._waiting.remove(call)
                if call.turn.is_set():
                    self._hand_over()
            raise

    async def _write_what_waits(self) -> None:
        self._is_writing = True
        batch, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
        try:
            # Others depend on this write, so no cancellation may come between: its limit is the
            # busy timeout and the disk.
            with anyio.CancelScope(shield=True):
                answers = await to_thread.run_sync(
                    self.database.write, [call.deed for call in batch]
                )
            for call, answer in zip(batch, answers, strict=True):
                call.answer = answer
        except BaseException as error:
            # A mistake of ours: whoever writes gets it as it is, but nobody may believe that his
            # note was written.
            for call in batch:
                call.answer = StorageUnavailable(
                    f"Cannot write {self.database.path}: {type(error).__name__}."
                )
            raise
        finally:
            for call in batch:
                call.is_settled = True
                call.turn.set()
            self._hand_over()

    def _hand_over(self) -> None:
        self._is_writing = bool(self._waiting)
        if self._waiting:
            self._waiting[0].turn.set()
        elif self._rest is not None:
            self._rest.set()
            self._rest = None
