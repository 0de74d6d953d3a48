"""Port: how running orders get on, for whoever watches."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Protocol

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.run import RunEvent


class ProgressFeed(Protocol):
    """Events of runs.  A convenience, not a record: it may be lost, it never holds a run up."""

    @abstractmethod
    async def publish(self, order_id: OrderId, event: RunEvent) -> None:
        """Tell the watchers.  Never raises because nobody can be told, never waits for them."""

    @abstractmethod
    def follow(self, order_id: OrderId, *, after: int = 0) -> AsyncIterator[ProgressItem]:
        """Events with a number greater than `after`, those that have been and those to come.

        Ends after `RunEnded`.  Neighbouring pieces of text may have been joined.  Waits for an
        order that has not begun.
        """
        ...

    @abstractmethod
    async def latest(self, order_id: OrderId) -> Progress | None:
        """Where the order stands; None when nothing is known of it."""

    @abstractmethod
    async def forget(self, order_id: OrderId) -> None:
        """Drop the order's events, when nobody needs them any more.  Safe twice."""
