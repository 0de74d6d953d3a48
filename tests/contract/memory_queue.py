"""How the suites play workers over the queue in memory."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from datetime import datetime, timedelta

from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.order_queue import QueueHarness
from galaxy_core.testing.memory import (
    ManualClock,
    MemoryControl,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
)


class MemoryQueueHarness(QueueHarness):
    """`MemoryOrders` stands for the disk; each queue over it for a process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.orders = MemoryOrders(
            self.clock, machine=self.machine, others={self.other_machine}, lease=self.lease
        )
        self._opened: list[MemoryOrderQueue] = []

    async def open(self, worker: str = "worker-1") -> MemoryOrderQueue:
        self._opened.append(MemoryOrderQueue(self.orders, worker))
        return self._opened[-1]

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def catalogue(self) -> OrderCatalogue:
        return MemoryOrderCatalogue(self.orders)

    async def control(self) -> Control:
        return MemoryControl(self.clock, self.orders.commands)

    async def kill(self, queue: OrderQueue) -> None:
        assert isinstance(queue, MemoryOrderQueue)
        queue.kill()

    async def freeze(self, queue: OrderQueue) -> None:
        assert isinstance(queue, MemoryOrderQueue)
        queue.freeze()

    async def thaw(self, queue: OrderQueue) -> None:
        assert isinstance(queue, MemoryOrderQueue)
        queue.thaw()

    async def restart(self) -> None:
        for queue in self._opened:
            queue.kill()
