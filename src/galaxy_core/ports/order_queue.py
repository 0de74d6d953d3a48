"""Port: the queue of one machine's orders, for the workers that run them."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Protocol

from attrs import frozen

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending


@frozen(kw_only=True)
class Enqueued:
    """What became of an order that was handed in."""

    order_id: OrderId
    """Its id from now on: the one it came with, or a numbered one if that was taken."""
    is_new: bool
    """False when the same order (same id and content, or same idempotency key) was known."""


class OrderQueue(Protocol):
    """Orders of one machine: durable, claimed by one worker at a time, ended once.

    An adapter is made for one machine and one worker (a process).  It decides which waiting
    order comes next: within a conversation in the order of arrival, but one that was begun before
    all others (they would go on in its session while it is broken off), and never two at a time;
    between conversations by priority, then arrival; `not_before` and `after` are obeyed; an
    order that a person wants cancelled is given out at once, whatever it waited for, even if it
    is meant for another machine.  An order that may not run (`Order.refusals`, expired) is given
    out like any other: the caller ends it with an answer.

    Every method is safe to call concurrently from tasks of one event loop.
    """

    @abstractmethod
    async def enqueue(self, order: Order) -> Enqueued:
        """Accept an order: when this returns, it survives a power cut.

        Safe twice: the same id with the same content, or the same `idempotency_key`, is the
        same order and is not stored again, also after it has ended.  The same id with other
        content is another order and gets a numbered id.  After an error the order may or may
        not be stored; calling again with the same order is how to find out.

        Raises `StorageUnavailable` when nothing can be stored now, `InvalidOrder` when the id
        cannot be one.
        """

    @abstractmethod
    async def claim(self, *, only: OrderId | None = None) -> Delivery | None:
        """Take the next order under a lease; None when there is none to be had now.

        Never blocks on other workers.  With `only`, takes that order if nobody holds it,
        whatever it waits for (not_before, its conversation, `after`): for ending it, not for
        running it.  `Delivery.attempt` counts this claim.
        """

    @abstractmethod
    async def renew(self, delivery: Delivery) -> None:
        """Say that the worker lives and still works on the order.

        To be called well within the adapter's lease time.  Raises `LeaseLost` when the order was
        taken over; then nothing may be written for it any more.
        """

    @abstractmethod
    async def ack(self, delivery: Delivery, ending: Ending) -> None:
        """End the order for good, and archive it with `ending`.

        When this returns, the order will not be given out again, also after a power cut.  Safe
        twice.  Raises `LeaseLost` when the order was taken over.
        """

    @abstractmethod
    async def nack(
        self,
        delivery: Delivery,
        *,
        delay: timedelta = timedelta(0),
        reason: str = "",
        is_counted: bool = True,
    ) -> None:
        """Give the order back, to be claimed again after `delay` at the earliest.

        It keeps its place in its conversation, so later orders of the conversation wait too.
        With `is_counted` false the attempt does not count (a worker that stops on purpose).
        Raises `LeaseLost` when the order was taken over.
        """

    @abstractmethod
    async def dead_letter(self, delivery: Delivery, ending: Ending) -> None:
        """End the order as one that a person has to look at; else like `ack`.

        It stays listed (`OrderCatalogue.list` with state `dead`) until a person retries it.
        """

    @abstractmethod
    async def wait(self, timeout: timedelta | None = None) -> bool:
        """Sleep until `claim()` may have something, or `timeout` has passed (then False).

        May wake up for nothing; never sleeps through a chance: an order that can be claimed when
        `wait` is called wakes it at once, as do a new order, a delay that is over, and a
        conversation that became free.  A claim that a worker died holding is among the things
        it wakes up for, at the latest after the lease time.
        """
