"""What a queue should do, said in the simplest way: the model beside `OrderQueueStateMachine`."""

from __future__ import annotations

import itertools
from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.domain.state import OrderState


@define(eq=False)
class ModelOrder:
    """One order as it should stand."""

    order: Order
    arrival: int
    due: timedelta = timedelta(0)
    """Time since the beginning before which it is not given out."""
    is_elsewhere: bool = False
    attempts: int = 0
    is_begun: bool = False
    """Whether somebody has held it: it goes before all others of its conversation."""
    holder: str | None = None
    delivery: Delivery | None = None
    delayed_until: timedelta = timedelta(0)
    wants_cancel: bool = False
    ignores_delay: bool = False
    """Whether the wish to cancel came after it was given back."""
    end: OrderState | None = None
    successor: OrderId | None = None


@define(eq=False)
class QueueModel:
    """All orders, and the time since the beginning."""

    orders: dict[OrderId, ModelOrder] = field(factory=dict)
    now: timedelta = timedelta(0)
    _arrivals: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def add(
        self, order: Order, *, due: timedelta = timedelta(0), is_elsewhere: bool = False
    ) -> None:
        """An order came in under its final id."""
        self.orders[order.id] = ModelOrder(
            order, next(self._arrivals), due=due, is_elsewhere=is_elsewhere
        )

    def acceptable(self) -> set[OrderId]:
        """The orders of which the next claim must give one; empty when it must give none."""
        waiting = [o for o in self.orders.values() if o.end is None and o.holder is None]
        wanted = {o.order.id for o in waiting if self._is_to_be_cancelled(o)}
        if wanted:
            return wanted
        busy = {self._lane(o) for o in self.orders.values() if o.end is None and o.holder}
        heads: dict[str, ModelOrder] = {}
        urgency: dict[str, int] = {}
        for order in sorted(waiting, key=lambda o: (not o.is_begun, o.arrival)):
            lane = self._lane(order)
            if lane in busy or not self._has_joined(order):
                continue
            heads.setdefault(lane, order)
            urgency[lane] = max(urgency.get(lane, 0), order.order.priority)
        ready = [lane for lane, head in heads.items() if head.delayed_until <= self.now]
        if not ready:
            return set()
        best = max(ready, key=lambda lane: (urgency[lane], -heads[lane].arrival))
        return {heads[best].order.id}

    def claimed(self, worker: str, delivery: Delivery) -> None:
        """The worker holds the order."""
        order = self.orders[delivery.order.id]
        order.attempts += 1
        order.is_begun = True
        order.holder, order.delivery = worker, delivery
        order.delayed_until = timedelta(0)

    def given_back(
        self, delivery: Delivery, *, delay: timedelta = timedelta(0), is_counted: bool = True
    ) -> None:
        """The order waits again."""
        order = self.orders[delivery.order.id]
        order.holder = order.delivery = None
        order.delayed_until = self.now + delay
        order.ignores_delay = False
        if not is_counted:
            order.attempts -= 1

    def ended(self, delivery: Delivery, state: OrderState) -> None:
        """The order is over."""
        order = self.orders[delivery.order.id]
        order.holder = order.delivery = None
        order.end = state

    def cancelled(self, order_id: OrderId) -> None:
        """A person wants the order to stop."""
        order = self.orders[order_id]
        order.wants_cancel = order.ignores_delay = True

    def died(self, worker: str) -> list[Delivery]:
        """The worker holds nothing any more; what it held."""
        lost = []
        for order in self.orders.values():
            if order.holder == worker and order.delivery is not None:
                lost.append(order.delivery)
                order.holder = order.delivery = None
        return lost

    def held_by(self, worker: str) -> list[Delivery]:
        """What the worker holds."""
        return [o.delivery for o in self.orders.values() if o.holder == worker and o.delivery]

    def _is_to_be_cancelled(self, order: ModelOrder) -> bool:
        return order.wants_cancel and (order.ignores_delay or order.delayed_until <= self.now)

    def _has_joined(self, order: ModelOrder) -> bool:
        """Whether it is one of its conversation's waiting orders: due, ours, nothing before it."""
        earlier = [self.orders.get(order_id) for order_id in order.order.after]
        is_free = all(found is not None and found.end is not None for found in earlier)
        return order.due <= self.now and not order.is_elsewhere and is_free

    @staticmethod
    def _lane(order: ModelOrder) -> str:
        return str(order.order.conversation("test"))
