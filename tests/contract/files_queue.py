"""How the suites play workers over the queue in a folder: several queues, one folder, one clock."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import anyio.abc
from attrs import define, field

from galaxy_adapters.control_filesystem import FilesystemControl
from galaxy_adapters.queue_filesystem import (
    FilesystemOrderCatalogue,
    FilesystemOrderQueue,
    QueueTimes,
)
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts import QueueHarness
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout

_REST_SECONDS = 20.0
"""However busy the machine is, nobody works for so long."""


class FilesQueueHarness(QueueHarness):
    """Each queue is opened and closed by a task of its own, as it is by a process."""

    lease = timedelta(seconds=30)

    def __init__(self, folder: Path, group: anyio.abc.TaskGroup) -> None:
        self.layout = Layout(folder)
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self._group = group
        self._hosts: dict[FilesystemOrderQueue, _Host] = {}

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
        await self.clock.elapse(duration, settle=self._rest)

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
        host = self._hosts.pop(queue)
        host.scope.cancel()
        await host.is_over.wait()
        # The survivors give its orders back.
        await self._rest()

    async def freeze(self, queue: OrderQueue) -> None:
        """Nothing: it is a worker that makes no call, and time passes for the others."""

    async def thaw(self, queue: OrderQueue) -> None:
        """Nothing."""

    async def restart(self) -> None:
        for queue in list(self._hosts):
            await self.kill(queue)

    async def _rest(self) -> None:
        """Wait until no queue has anything left to do before time passes.

        A manual clock waits neither for the kernel's notices nor for threads: time that passed
        meanwhile would be taken for somebody's silence.
        """
        with anyio.fail_after(_REST_SECONDS):
            while True:
                is_news = False
                for queue in self._hosts:
                    with suppress(OSError):
                        is_news |= await queue._keeper.catch_up()
                await settle()
                if not is_news and all(queue._keeper.is_resting for queue in self._hosts):
                    return
                await anyio.sleep(0.0005)

    def _control(self) -> Control:
        return FilesystemControl(self.layout, self.clock, self.incidents)


@asynccontextmanager
async def files_queue(folder: Path) -> AsyncIterator[FilesQueueHarness]:
    """Give a harness over an empty folder; closes what it opened."""
    async with anyio.create_task_group() as group:
        yield FilesQueueHarness(folder, group)
        group.cancel_scope.cancel()


@define(eq=False)
class _Host:
    """The task that plays a queue's process."""

    scope: anyio.CancelScope = field(factory=anyio.CancelScope)
    is_over: anyio.Event = field(factory=anyio.Event)


async def _host(
    queue: FilesystemOrderQueue,
    *,
    task_status: anyio.abc.TaskStatus[_Host],
) -> None:
    host = _Host()
    try:
        with host.scope:
            async with queue:
                task_status.started(host)
                await anyio.sleep_forever()
    finally:
        host.is_over.set()
