"""The orders of one machine in memory: what several workers' queues open together.

Decides which order comes next, and who holds what.  Costs grow with the number of waiting
orders: it is for tests and for embedding with few orders, not for backlogs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta

import anyio
from attrs import define, evolve

from galaxy_core.domain.errors import InvalidOrder, LeaseLost
from galaxy_core.domain.ids import (
    ConversationKey,
    LeaseToken,
    OrderId,
    numbered,
    why_not_an_order_id,
)
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import is_due
from galaxy_core.domain.response import Ending
from galaxy_core.ports.clock import Clock
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory.control import CommandBox
from galaxy_core.testing.signals import Signal

LEASE = timedelta(seconds=60)
"""How long a worker that says nothing keeps its orders, unless told otherwise."""

_RECHECK = timedelta(seconds=5)
"""A sleeper looks again after so long: the time of day may have been set forward meanwhile."""


@define(eq=False)
class Worker:
    """One process that opens the queue."""

    name: str
    is_dead: bool = False
    thawed: anyio.Event | None = None
    """Set when the worker goes on; None while it is not frozen."""


@define(eq=False)
class Lease:
    """One worker's hold on one order."""

    worker: Worker
    token: LeaseToken
    claimed_at: datetime
    until: float
    """Monotonic second at which another worker may take the order over."""


@define(eq=False)
class Entry:
    """One order, from its arrival to the archive."""

    order: Order
    arrival: int
    received_at: datetime
    attempts: int = 0
    failures: int = 0
    lease: Lease | None = None
    delayed_until: float | None = None
    """Monotonic second before which it is not given out again after a nack."""
    given_back_at: int = 0
    """Number of the newest command when it was given back."""
    ending: Ending | None = None
    ended_by: LeaseToken | None = None
    end: int = 0
    """Its place among arrivals and ends."""
    successor: OrderId | None = None
    """The order that a person had enqueued in its place."""
    is_dismissed: bool = False

    @property
    def turn(self) -> tuple[bool, int]:
        """Its place in its conversation: one that somebody has had comes first."""
        return (not self.attempts and not self.given_back_at, self.arrival)


class MemoryOrders:
    """The store behind `MemoryOrderQueue` and `MemoryOrderCatalogue`.

    `names` are what this machine answers to (its own name always), `others` the machines whose
    orders another Hermes serves from the same folder: those are left alone.  `commands` is the
    box of the `MemoryControl`s of this machine: a cancellation in it makes an order claimable.
    """

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        clock: Clock,
        *,
        machine: str = "test",
        names: Iterable[str] = (),
        others: Iterable[str] = (),
        lease: timedelta = LEASE,
        commands: CommandBox | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.clock = clock
        self.machine = machine
        self.lease = lease
        self.commands = commands or CommandBox()
        self.faults = faults or Faults()
        # Shared with the commands: a cancellation is a change of the queue.
        self.changes: Signal = self.commands.changes
        self._names = frozenset(name.casefold() for name in (machine, *names))
        self._others = frozenset(name.casefold() for name in others)
        self._entries: dict[OrderId, Entry] = {}
        self._keys: dict[str, OrderId] = {}
        self._sequence = itertools.count(1)
        self._tokens = itertools.count(1)

    # ---- workers

    def kill(self, worker: Worker) -> None:
        """The worker's process dies at once; what it held is free, as with a kernel's lock."""
        worker.is_dead = True
        for entry in self._entries.values():
            if entry.lease is not None and entry.lease.worker is worker:
                entry.lease = None
        self.changes.notify()

    def freeze(self, worker: Worker) -> None:
        """The worker's process stands still: its calls hang until `thaw`."""
        worker.thawed = worker.thawed or anyio.Event()

    def thaw(self, worker: Worker) -> None:
        """The worker's process goes on, and does not know that time has passed."""
        if worker.thawed is not None:
            worker.thawed.set()
        worker.thawed = None

    # ---- arrival

    def add(self, order: Order) -> tuple[OrderId, bool]:
        """Store the order under its id or a numbered one; the id, and whether it is new."""
        if (problem := why_not_an_order_id(order.id)) is not None:
            raise InvalidOrder(f"order id {order.id!r} cannot be used: {problem}")
        if order.idempotency_key is not None and order.idempotency_key in self._keys:
            return self._keys[order.idempotency_key], False
        order_id = order.id
        for number in itertools.count(2):
            known = self._entries.get(order_id)
            if known is None:
                break
            if known.order == evolve(order, id=order_id):
                return order_id, False
            order_id = numbered(order.id, number)
        self._entries[order_id] = Entry(
            order=evolve(order, id=order_id),
            arrival=next(self._sequence),
            received_at=self.clock.now(),
        )
        if order.idempotency_key is not None:
            self._keys[order.idempotency_key] = order_id
        self.changes.notify()
        return order_id, True

    def find(self, order_id: OrderId) -> Entry | None:
        """The order as it stands."""
        return self._entries.get(order_id)

    def all(self) -> list[Entry]:
        """Every order, in the order of arrival."""
        return list(self._entries.values())

    def free_id(self, order_id: OrderId) -> OrderId:
        """The first numbered id that nobody has."""
        return next(
            candidate
            for number in itertools.count(2)
            if (candidate := numbered(order_id, number)) not in self._entries
        )

    # ---- which comes next

    def next_for(self, worker: Worker) -> Entry | None:
        """The order that the worker may claim now; None when there is none."""
        waiting = [entry for entry in self._entries.values() if self._is_free(entry, worker)]
        # Wanted cancelled: given out to be ended, whatever it waits for.
        for entry in waiting:
            if self._is_cancelled(entry):
                return entry
        held = {
            self.conversation(entry)
            for entry in self._entries.values()
            if entry.ending is None and not self._is_free(entry, worker)
        }
        lanes: dict[ConversationKey, list[Entry]] = {}
        for entry in waiting:
            key = self.conversation(entry)
            # One that waits for its own time, for other orders or for another machine has not
            # joined its conversation yet; it takes its place by arrival once it may run.
            if key not in held and not self._waits_for_something(entry):
                lanes.setdefault(key, []).append(entry)
        for lane in lanes.values():
            lane.sort(key=lambda entry: entry.turn)
        ready = [lane for lane in lanes.values() if not self._is_delayed(lane[0])]
        if not ready:
            return None
        lane = min(ready, key=lambda lane: (-max(e.order.priority for e in lane), lane[0].arrival))
        return lane[0]

    def until_next(self, worker: Worker) -> timedelta | None:
        """Time until `next_for` may change by itself; None when only a change can do it."""
        now, day = self.clock.monotonic(), self.clock.now()
        moments: list[timedelta] = []
        for entry in self._entries.values():
            if entry.ending is not None:
                continue
            if entry.lease is not None and entry.lease.worker is not worker:
                moments.append(timedelta(seconds=entry.lease.until - now))
            if entry.delayed_until is not None and entry.delayed_until > now:
                moments.append(timedelta(seconds=entry.delayed_until - now))
            if entry.order.not_before is not None and entry.order.not_before > day:
                moments.append(min(entry.order.not_before - day, _RECHECK))
        return max(min(moments), timedelta(microseconds=1)) if moments else None

    def conversation(self, entry: Entry) -> ConversationKey:
        """The conversation that the order belongs to on this machine."""
        return entry.order.conversation(self.machine)

    def _is_free(self, entry: Entry, worker: Worker) -> bool:
        if entry.ending is not None:
            return False
        if entry.lease is None:
            return True
        # A worker never takes over from itself: its own task may still be at work.
        is_over = entry.lease.until <= self.clock.monotonic()
        return is_over and entry.lease.worker is not worker

    def _is_cancelled(self, entry: Entry) -> bool:
        asked_at = self.commands.cancelled_at(entry.order.id)
        if asked_at is None:
            return False
        # Given back after the wish was known (the answer could not be stored, say): the delay
        # stands, or the worker would spin.
        return asked_at > entry.given_back_at or not self._is_delayed(entry)

    def _is_delayed(self, entry: Entry) -> bool:
        return entry.delayed_until is not None and entry.delayed_until > self.clock.monotonic()

    def _waits_for_something(self, entry: Entry) -> bool:
        order = entry.order
        if not is_due(order, self.clock.now()):
            return True
        if order.target and not order.is_for(self._names):
            return order.target.casefold() in self._others
        return any(not self._has_ended(order_id) for order_id in order.after)

    def _has_ended(self, order_id: OrderId) -> bool:
        found = self._entries.get(order_id)
        return found is not None and found.ending is not None

    # ---- a worker's hold

    def take(self, worker: Worker, *, only: OrderId | None) -> tuple[Entry, Lease] | None:
        """Give the next order, or the one asked for, to the worker."""
        if only is None:
            entry = self.next_for(worker)
        else:
            entry = self._entries.get(only)
            if entry is not None and not self._is_free(entry, worker):
                entry = None
        if entry is None:
            return None
        entry.attempts += 1
        entry.delayed_until = None
        entry.lease = Lease(
            worker=worker,
            token=LeaseToken(f"{worker.name}-{next(self._tokens)}"),
            claimed_at=self.clock.now(),
            until=self._lease_end(),
        )
        self.changes.notify()
        return entry, entry.lease

    def extend(self, order_id: OrderId, token: LeaseToken) -> None:
        """Begin the lease time anew."""
        self._held(order_id, token)[1].until = self._lease_end()

    def end(self, order_id: OrderId, token: LeaseToken, ending: Ending) -> None:
        """Archive the order."""
        entry = self._entries.get(order_id)
        if entry is not None and entry.ending is not None and entry.ended_by == token:
            return
        entry, _ = self._held(order_id, token)
        entry.ending, entry.ended_by, entry.lease = ending, token, None
        entry.end = next(self._sequence)
        self.changes.notify()

    def give_back(
        self, order_id: OrderId, token: LeaseToken, delay: timedelta, *, is_counted: bool
    ) -> None:
        """Let the order wait again, at its place."""
        entry, _ = self._held(order_id, token)
        entry.lease = None
        entry.delayed_until = self.clock.monotonic() + max(delay, timedelta(0)).total_seconds()
        entry.given_back_at = self.changes.version
        if is_counted:
            entry.failures += 1
        else:
            entry.attempts -= 1
        self.changes.notify()

    def _held(self, order_id: OrderId, token: LeaseToken) -> tuple[Entry, Lease]:
        entry = self._entries.get(order_id)
        if entry is None or entry.lease is None or entry.lease.token != token:
            raise LeaseLost(f"order {order_id} is not held under this lease any more")
        return entry, entry.lease

    def _lease_end(self) -> float:
        return self.clock.monotonic() + self.lease.total_seconds()
