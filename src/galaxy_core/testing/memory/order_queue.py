"""The queue of orders, kept in memory."""

from __future__ import annotations

from datetime import timedelta

from attrs import define, evolve, field

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.ports.order_queue import Enqueued, OrderQueue
from galaxy_core.testing.memory.orders import MemoryOrders, Worker
from galaxy_core.testing.signals import wait_until


def _worker(name: Worker | str) -> Worker:
    return name if isinstance(name, Worker) else Worker(name)


@define(eq=False)
class MemoryOrderQueue(OrderQueue):
    """One worker's view of `MemoryOrders`; open several over one store to play several.

    Writes are named `queue.<method>` in `MemoryOrders.faults`.
    """

    orders: MemoryOrders
    worker: Worker = field(factory=lambda: Worker("worker-1"), converter=_worker)

    def kill(self) -> None:
        """Play `kill -9` of this worker: its orders are free; this object is of no more use."""
        self.orders.kill(self.worker)

    def freeze(self) -> None:
        """Play SIGSTOP of this worker: calls hang until `thaw`."""
        self.orders.freeze(self.worker)

    def thaw(self) -> None:
        """Play SIGCONT of this worker."""
        self.orders.thaw(self.worker)

    async def enqueue(self, order: Order) -> Enqueued:
        await self._ready()
        async with self.orders.faults.around("queue.enqueue"):
            order_id, is_new = self.orders.add(order)
        return Enqueued(order_id=order_id, is_new=is_new)

    async def claim(self, *, only: OrderId | None = None) -> Delivery | None:
        await self._ready()
        async with self.orders.faults.around("queue.claim"):
            taken = self.orders.take(self.worker, only=only)
        if taken is None:
            return None
        entry, lease = taken
        return Delivery(
            order=entry.order,
            attempt=entry.attempts,
            failures=entry.failures,
            token=lease.token,
            claimed_at=lease.claimed_at,
            is_redelivered=entry.attempts > 1 or entry.given_back_at > 0,
        )

    async def renew(self, delivery: Delivery) -> None:
        await self._ready()
        async with self.orders.faults.around("queue.renew", is_write=False):
            self.orders.extend(delivery.order.id, delivery.token)

    async def ack(self, delivery: Delivery, ending: Ending) -> None:
        await self._ready()
        async with self.orders.faults.around("queue.ack"):
            self.orders.end(delivery.order.id, delivery.token, ending)

    async def nack(
        self,
        delivery: Delivery,
        *,
        delay: timedelta = timedelta(0),
        reason: str = "",  # noqa: ARG002 - for people who read files; nobody reads memory
        is_counted: bool = True,
    ) -> None:
        await self._ready()
        async with self.orders.faults.around("queue.nack"):
            self.orders.give_back(delivery.order.id, delivery.token, delay, is_counted=is_counted)

    async def dead_letter(self, delivery: Delivery, ending: Ending) -> None:
        await self._ready()
        async with self.orders.faults.around("queue.dead_letter"):
            dead = evolve(ending, outcome=Outcome.DEAD)
            self.orders.end(delivery.order.id, delivery.token, dead)

    async def wait(self, timeout: timedelta | None = None) -> bool:
        await self._ready()
        return await wait_until(
            lambda: self.orders.next_for(self.worker) is not None,
            signal=self.orders.changes,
            clock=self.orders.clock,
            timeout=timeout,
            pause=lambda: self.orders.until_next(self.worker),
        )

    async def _ready(self) -> None:
        if self.worker.thawed is not None:
            await self.worker.thawed.wait()
        if self.worker.is_dead:
            raise RuntimeError(f"{self.worker.name} was killed: open the queue anew")
