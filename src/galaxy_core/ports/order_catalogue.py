"""Port: all orders of a machine, for people."""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import OrderState


class CancelResult(enum.StrEnum):
    """What a wish to cancel met."""

    REQUESTED = "requested"
    """The order waits or runs; whoever claims or holds it will end it as cancelled."""
    ALREADY_ENDED = "already_ended"


class OrderCatalogue(Protocol):
    """Orders that wait, run and have ended.  Reads never disturb the queue."""

    @abstractmethod
    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        """The order as it stands now; None when nobody knows it.

        With `only_enqueued`, one that came by another way than `OrderQueue.enqueue` need not be
        found while it waits.  In return nothing is searched through: an order that nobody knows
        costs the same however many wait.
        """

    @abstractmethod
    async def list(
        self,
        *,
        states: frozenset[OrderState] | None = None,
        limit: int | None = 50,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        """Orders in the given states (None: all), the newest `limit`, newest first.

        With `oldest_first`, the oldest `limit`, oldest first.  By arrival while they wait or run,
        by their end after.  With a limit the number of waiting orders that are read is bounded,
        however many wait, so of many `place` may be missing; without one all are read, which is
        not for looks that are made again and again.
        """

    @abstractmethod
    def unfinished(self) -> AsyncIterator[Sequence[OrderView]]:
        """All orders that wait or run, in pieces, so that never all are kept in mind.

        Those that wait come first, but for what came or was given back meanwhile, and `place` may
        be missing; one that is claimed meanwhile may come twice.  Raises `StorageUnavailable`, also
        where one order alone cannot be read.
        """
        ...

    @abstractmethod
    async def count(self, *, states: frozenset[OrderState] | None = None) -> dict[OrderState, int]:
        """How many orders are in each of the given states (None: all), without those with none.

        Counting what waits and runs costs nothing of note, however many have ended; counting what
        has ended may look at each.
        """

    @abstractmethod
    async def cancel(self, order_id: OrderId, *, by: str = "", reason: str = "") -> CancelResult:
        """Ask that the order end as cancelled.  Durable when it returns; safe twice.

        The order itself ends when a worker (or the caller, with `OrderQueue.claim(only=...)`)
        has answered it.  Raises `OrderNotFound`.
        """

    @abstractmethod
    async def retry(self, order_id: OrderId) -> OrderId:
        """Enqueue an order that ended without success once more, as a new order.

        Returns the new order's id.  The old one keeps its answer and its place in the archive,
        and remembers its successor: a second call returns the same id.
        Raises `OrderNotFound`, `OrderNotRetryable`.
        """

    @abstractmethod
    async def dismiss(self, order_id: OrderId) -> bool:
        """Note that an order that was given up needs nobody's decision any more.

        False when somebody has decided already (by `retry`, too).  Durable when it returns; safe
        twice.  The order stays as it is, and can still be retried.
        Raises `OrderNotFound`, `OrderNotDismissable`.
        """
