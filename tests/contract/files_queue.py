"""How the suites play workers over the queue in a folder: several queues, one folder, one clock."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.abc

from galaxy_adapters.control_filesystem import FilesystemControl
from galaxy_adapters.queue_filesystem import (
    FilesystemOrderCatalogue,
    FilesystemOrderQueue,
    QueueTimes,
)
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts import QueueHarness
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout

_NOTICE_SECONDS = 2.0
_STEPS = 8


class FilesQueueHarness(QueueHarness):
    """Each queue is opened and closed by a task of its own, as it is by a process."""

    lease = timedelta(seconds=30)

    def __init__(self, folder: Path, group: anyio.abc.TaskGroup) -> None:
        self.layout = Layout(folder)
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self._group = group
        self._hosts: dict[FilesystemOrderQueue, anyio.CancelScope] = {}

    async def open(self, worker: str = "worker-1") -> FilesystemOrderQueue:
        queue = FilesystemOrderQueue(
            self.layout,
            machine=self.machine,
            clock=self.clock,
            incidents=self.incidents,
            control=self._control(),
            others={self.other_machine},
            times=QueueTimes(lease=self.lease),
        )
        self._hosts[queue] = await self._group.start(_host, queue, name=worker)
        return queue

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        # A manual clock waits neither for the kernel's notices nor for threads: it goes in steps
        # so short that every look at the others' signs of life happens at its own time.
        for _ in range(_STEPS if duration > self.lease / _STEPS else 1):
            for queue in self._hosts:
                with suppress(OSError):
                    await queue._keeper.catch_up()
            step = duration / _STEPS if duration > self.lease / _STEPS else duration
            await self.clock.elapse(step)
            with anyio.move_on_after(_NOTICE_SECONDS):
                while any(queue._keeper.is_healing for queue in self._hosts):  # noqa: ASYNC110
                    await anyio.sleep(0.001)

    async def catalogue(self) -> OrderCatalogue:
        return FilesystemOrderCatalogue(
            self.layout, machine=self.machine, clock=self.clock, control=self._control()
        )

    async def control(self) -> Control:
        return self._control()

    async def kill(self, queue: OrderQueue) -> None:
        assert isinstance(queue, FilesystemOrderQueue)
        # What the kernel does at a death: the lock is released, the lock file stays.
        queue._life.abandon()
        self._hosts.pop(queue).cancel()
        # The survivors give its orders back in threads, which a manual clock does not wait for:
        # time that passes meanwhile would be taken for their own silence.
        with anyio.move_on_after(_NOTICE_SECONDS):
            while self._hosts and self._is_healing(queue):  # noqa: ASYNC110 - no such event
                await anyio.sleep(0.001)

    async def freeze(self, queue: OrderQueue) -> None:
        """Nothing: it is a worker that makes no call, and time passes for the others."""

    async def thaw(self, queue: OrderQueue) -> None:
        """Nothing."""

    async def restart(self) -> None:
        for queue in list(self._hosts):
            await self.kill(queue)

    def _is_healing(self, dead: FilesystemOrderQueue) -> bool:
        """Whether something is still held by the dead worker, or is just being given back."""
        is_held = any(ball.worker == dead.worker for ball in dead._holding.survey()[0])
        return is_held or any(queue._keeper.is_healing for queue in self._hosts)

    def _control(self) -> Control:
        return FilesystemControl(self.layout, self.clock, self.incidents)


@asynccontextmanager
async def files_queue(folder: Path) -> AsyncIterator[FilesQueueHarness]:
    """Give a harness over an empty folder; closes what it opened."""
    async with anyio.create_task_group() as group:
        yield FilesQueueHarness(folder, group)
        group.cancel_scope.cancel()


async def _host(
    queue: FilesystemOrderQueue,
    *,
    task_status: anyio.abc.TaskStatus[anyio.CancelScope],
) -> None:
    with anyio.CancelScope() as scope:
        async with queue:
            task_status.started(scope)
            await anyio.sleep_forever()
