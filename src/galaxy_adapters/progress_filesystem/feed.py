"""How running orders get on, for watchers in this process and in others.

A convenience and not a record: nothing is synced, nothing raises, and a run never waits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import suppress

from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from attrs import define, field

from galaxy_adapters.progress_filesystem._bells import Bells
from galaxy_adapters.progress_filesystem._reader import FeedReader
from galaxy_adapters.progress_filesystem._writer import FeedWriter
from galaxy_core.domain.ids import OrderId, safe_order_id
from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.progress import add_to_progress
from galaxy_core.domain.run import RunEnded, RunEvent
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemProgressFeed"]

_SUMS_KEPT = 64
"""Orders of other processes whose sum is kept, so that the next `latest` reads only what is new."""
_WRITERS_KEPT = 128
"""Open feeds of our own: twice the workers that there can be.  A run that was given up, or that
went on elsewhere, never says that it ended."""
_TURN = 16
"""So many events are taken in one go before others have their turn: each takes some 50 µs."""


@define
class _Sum:
    """What was read of another process's feed."""

    reader: FeedReader
    progress: Progress


@define(eq=False)
class FilesystemProgressFeed(ProgressFeed):
    """Feeds of one machine.  Each order has one writer at a time; anybody may watch."""

    _layout: Layout
    _clock: Clock
    _is_polling: bool = field(default=False, kw_only=True)
    """Look instead of being told: for folders that other hosts write to."""
    _writers: OrderedDict[str, FeedWriter] = field(factory=OrderedDict, init=False)
    """Feeds whose run this process tells of, by file name; whoever spoke last is last."""
    _sums: OrderedDict[str, _Sum] = field(factory=OrderedDict, init=False)
    _bells: Bells = field(init=False)
    _published: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._bells = Bells(self._layout.progress, self._is_polling)

    async def publish(self, order_id: OrderId, event: RunEvent) -> None:
        self._published += 1
        if self._published % _TURN:
            await checkpoint_if_cancelled()
        else:
            await checkpoint()
        name = _name_of(order_id)
        writer = self._writers.get(name)
        if writer is None:
            writer = self._writers[name] = FeedWriter(self._layout.progress / name, order_id)
        self._writers.move_to_end(name)
        while len(self._writers) > _WRITERS_KEPT:
            # Should it speak again, a new writer goes on where this one has stopped.
            self._writers.popitem(last=False)[1].close()
        writer.publish(event, self._clock.now())
        self._bells.ring(name)
        if isinstance(event, RunEnded) and not writer.waiting:
            writer.close()
            del self._writers[name]

    async def follow(self, order_id: OrderId, *, after: int = 0) -> AsyncIterator[ProgressItem]:
        name = _name_of(order_id)
        reader = FeedReader(self._layout.progress / name)
        seen, is_over = after, False
        self._bells.listen()
        try:
            while True:
                bell = self._bells.bell(name)
                while (lines := reader.take()) is not None:
                    for line in lines:
                        is_over = isinstance(line.item.event, RunEnded)
                        item = line.after(seen)
                        if item is not None:
                            seen = item.number
                            yield item
                    await checkpoint()
                writer = self._writers.get(name)
                for line in list(writer.waiting) if writer else ():
                    is_over = isinstance(line.item.event, RunEnded)
                    item = line.after(seen)
                    if item is not None:
                        seen = item.number
                        yield item
                if is_over or reader.is_gone():
                    return
                await self._bells.wait(bell)
        finally:
            self._bells.leave()
            reader.close()

    async def latest(self, order_id: OrderId) -> Progress | None:
        name = _name_of(order_id)
        writer = self._writers.get(name)
        if writer is not None:
            await checkpoint()
            return writer.progress
        known = self._sum_of(name, order_id)
        while (lines := known.reader.take()) is not None:
            for line in lines:
                known.progress = add_to_progress(known.progress, line.item)
            await checkpoint()
        return known.progress if known.progress.updated_at is not None else None

    async def forget(self, order_id: OrderId) -> None:
        await checkpoint()
        name = _name_of(order_id)
        writer = self._writers.pop(name, None)
        if writer is not None:
            writer.drop()
        known = self._sums.pop(name, None)
        if known is not None:
            known.reader.close()
        with suppress(OSError):
            (self._layout.progress / name).unlink()
        self._bells.ring(name)

    def close(self) -> None:
        """Write what waits, and close all files.  Safe twice; inside the event loop."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
        for known in self._sums.values():
            known.reader.close()
        self._sums.clear()

    def _sum_of(self, name: str, order_id: OrderId) -> _Sum:
        known = self._sums.pop(name, None)
        if known is not None and known.reader.is_gone():
            known.reader.close()
            known = None
        if known is None:
            reader = FeedReader(self._layout.progress / name)
            known = _Sum(reader, Progress(order_id=order_id))
        self._sums[name] = known
        while len(self._sums) > _SUMS_KEPT:
            self._sums.popitem(last=False)[1].reader.close()
        return known


def _name_of(order_id: OrderId) -> str:
    return f"{safe_order_id(order_id)}.jsonl"
