"""The catalogue of orders over the same store as the queue in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve

from galaxy_core.domain.errors import OrderNotDismissable, OrderNotFound, OrderNotRetryable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import CancelRequested, OrderView
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.order_catalogue import CancelResult, OrderCatalogue
from galaxy_core.testing.memory.orders import Entry, MemoryOrders

_NOT_INHERITED = ("order_id", "idempotency_key", "not_before", "expires_at")


@define(eq=False)
class MemoryOrderCatalogue(OrderCatalogue):
    """What people see of `MemoryOrders`."""

    orders: MemoryOrders

    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        del only_enqueued  # there is no other way in
        async with self.orders.faults.around("catalogue.get", is_write=False):
            entry = self.orders.find(order_id)
            return None if entry is None else self._view(entry)

    async def list(
        self,
        *,
        states: frozenset[OrderState] | None = None,
        limit: int | None = 50,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        async with self.orders.faults.around("catalogue.list", is_write=False):
            in_order = sorted(
                self.orders.all(),
                key=lambda entry: entry.end or entry.arrival,
                reverse=not oldest_first,
            )
            wanted = [e for e in in_order if states is None or _state(e) in states]
            return [self._view(entry) for entry in wanted[:limit]]

    async def unfinished(self) -> AsyncIterator[Sequence[OrderView]]:
        async with self.orders.faults.around("catalogue.unfinished", is_write=False):
            waiting = [e for e in self.orders.all() if _state(e) is OrderState.PENDING]
            held = [e for e in self.orders.all() if _state(e) is OrderState.CLAIMED]
        for entries in (waiting, held):
            yield [self._view(entry) for entry in entries]

    async def count(self, *, states: frozenset[OrderState] | None = None) -> dict[OrderState, int]:
        async with self.orders.faults.around("catalogue.count", is_write=False):
            found = Counter(_state(entry) for entry in self.orders.all())
            return {s: number for s, number in found.items() if states is None or s in states}

    async def cancel(self, order_id: OrderId, *, by: str = "", reason: str = "") -> CancelResult:
        async with self.orders.faults.around("catalogue.cancel"):
            entry = self._find(order_id)
            if entry.ending is not None:
                return CancelResult.ALREADY_ENDED
            self.orders.commands.put(
                CancelRequested(order_id=order_id, at=self.orders.clock.now(), by=by, reason=reason)
            )
            return CancelResult.REQUESTED

    async def retry(self, order_id: OrderId) -> OrderId:
        async with self.orders.faults.around("catalogue.retry"):
            entry = self._find(order_id)
            if entry.ending is None:
                raise OrderNotRetryable(f"order {order_id} has not ended yet")
            if entry.ending.outcome is Outcome.SUCCEEDED:
                raise OrderNotRetryable(f"order {order_id} has succeeded")
            if entry.successor is None:
                # What bound the old order to its time and to its sender's one message is over.
                again = evolve(
                    entry.order,
                    id=self.orders.free_id(order_id),
                    idempotency_key=None,
                    not_before=None,
                    expires_at=None,
                    wire={k: v for k, v in entry.order.wire.items() if k not in _NOT_INHERITED},
                )
                entry.successor, _ = self.orders.add(again)
            return entry.successor

    async def dismiss(self, order_id: OrderId) -> bool:
        async with self.orders.faults.around("catalogue.dismiss"):
            entry = self._find(order_id)
            if _state(entry) is not OrderState.DEAD:
                raise OrderNotDismissable(f"order {order_id} was not given up")
            is_new = not _is_decided(entry)
            entry.is_dismissed = True
            return is_new

    def _find(self, order_id: OrderId) -> Entry:
        entry = self.orders.find(order_id)
        if entry is None:
            raise OrderNotFound(f"no order {order_id} is known here")
        return entry

    def _view(self, entry: Entry) -> OrderView:
        state = _state(entry)
        is_waiting = state is OrderState.PENDING
        return OrderView(
            order=entry.order,
            state=state,
            attempts=entry.attempts,
            place=self._place(entry) if is_waiting else None,
            waits_until=self._waits_until(entry) if is_waiting else None,
            received_at=entry.received_at,
            ending=entry.ending,
            is_decided=state is OrderState.DEAD and _is_decided(entry),
        )

    def _place(self, entry: Entry) -> int:
        key = self.orders.conversation(entry)
        return sum(
            1
            for other in self.orders.all()
            if other.turn <= entry.turn
            and _state(other) is OrderState.PENDING
            and self.orders.conversation(other) == key
        )

    def _waits_until(self, entry: Entry) -> datetime | None:
        now = self.orders.clock.now()
        moments = [] if entry.order.not_before is None else [entry.order.not_before]
        if entry.delayed_until is not None:
            left = entry.delayed_until - self.orders.clock.monotonic()
            moments.append(now + timedelta(seconds=left))
        return max((moment for moment in moments if moment > now), default=None)


def _is_decided(entry: Entry) -> bool:
    return entry.is_dismissed or entry.successor is not None


def _state(entry: Entry) -> OrderState:
    if entry.ending is not None:
        return entry.ending.outcome.state
    return OrderState.PENDING if entry.lease is None else OrderState.CLAIMED
