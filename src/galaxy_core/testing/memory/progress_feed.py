"""Feeds of running orders, kept in memory."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.progress import add_to_progress
from galaxy_core.domain.run import RunEnded, RunEvent
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal


@define(eq=False)
class MemoryProgressFeed(ProgressFeed):
    """All events of every order that was not forgotten; the write is named `feed.publish`."""

    _clock: Clock
    feeds: dict[OrderId, list[ProgressItem]] = field(factory=dict)
    faults: Faults = field(factory=Faults, kw_only=True)
    _changes: Signal = field(factory=Signal, init=False)

    async def publish(self, order_id: OrderId, event: RunEvent) -> None:
        with contextlib.suppress(StorageUnavailable):
            async with self.faults.around("feed.publish"):
                feed = self.feeds.setdefault(order_id, [])
                feed.append(ProgressItem(number=len(feed) + 1, at=self._clock.now(), event=event))
                self._changes.notify()

    async def follow(self, order_id: OrderId, *, after: int = 0) -> AsyncIterator[ProgressItem]:
        shown = after
        while True:
            changed = self._changes.next_change
            feed = self.feeds.get(order_id, [])
            if shown < len(feed):
                shown += 1
                yield feed[shown - 1]
            elif feed and isinstance(feed[-1].event, RunEnded):
                return
            else:
                await changed.wait()

    async def latest(self, order_id: OrderId) -> Progress | None:
        await checkpoint()
        feed = self.feeds.get(order_id)
        if not feed:
            return None
        progress = Progress(order_id=order_id)
        for item in feed:
            progress = add_to_progress(progress, item)
        return progress

    async def forget(self, order_id: OrderId) -> None:
        await checkpoint()
        self.feeds.pop(order_id, None)

    def events(self, order_id: OrderId) -> list[RunEvent]:
        """What was published about the order so far."""
        return [item.event for item in self.feeds.get(order_id, [])]
