"""Steps that must not be cut half way when the courier is stopped.

A sending that is cancelled between the call and its receipt is one whose outcome nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import anyio
from attrs import define, field


@define(eq=False)
class Steps:
    """The steps that are being taken now, by all tasks of one courier."""

    _open: set[anyio.CancelScope] = field(factory=set, init=False)
    _ended: anyio.Event = field(factory=anyio.Event, init=False)

    @contextmanager
    def uncut(self) -> Iterator[None]:
        """What is done in this block goes on when the task is cancelled, until `finish`."""
        with anyio.CancelScope(shield=True) as scope:
            self._open.add(scope)
            try:
                yield
            finally:
                self._open.discard(scope)
                self._ended.set()

    async def finish(self, patience: timedelta) -> None:
        """Let the steps end, for so long in real time; then they are cut all the same."""
        with anyio.move_on_after(patience.total_seconds(), shield=True):
            while self._open:
                self._ended = anyio.Event()
                await self._ended.wait()
        for scope in self._open:
            scope.cancel()
