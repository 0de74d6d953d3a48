"""Events of the fake opencode: told to whoever listens now, and kept nowhere."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from galaxy_core.testing.opencode.ids import identifier
from galaxy_core.testing.opencode.store import Document


class BusEvent(NamedTuple):
    """One event and the project folder it belongs to."""

    directory: str
    content: Document

    @property
    def type(self) -> str:
        """`session.idle`, `message.part.updated`, ..."""
        return str(self.content["type"])

    @property
    def properties(self) -> Document:
        """What the event says."""
        properties: Document = self.content["properties"]
        return properties


class Listener:
    """One reader's queue; ended by `close` or by the reader."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[BusEvent | None] = asyncio.Queue()

    def tell(self, event: BusEvent | None) -> None:
        """Hand over an event; None ends the reading."""
        self._queue.put_nowait(event)

    async def __aiter__(self) -> AsyncIterator[BusEvent]:
        while (event := await self._queue.get()) is not None:
            yield event

    async def next(self, seconds: float) -> BusEvent | None:
        """The next event; None at the end.  Raises `TimeoutError` when none comes in time."""
        async with asyncio.timeout(seconds):
            return await self._queue.get()


class Bus:
    """Tells events to all listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def publish(self, directory: str, kind: str, properties: Document) -> None:
        """Tell everybody who listens."""
        event: Document = {"id": identifier("evt"), "type": kind, "properties": properties}
        content = copy.deepcopy(event)  # what is told does not change afterwards
        for listener in self._listeners:
            listener.tell(BusEvent(directory, content))

    def cut(self) -> None:
        """End every reader's stream, as a broken connection does."""
        for listener in self._listeners:
            listener.tell(None)

    @contextmanager
    def listener(self) -> Iterator[Listener]:
        """Listen from now on."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
