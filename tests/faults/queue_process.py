"""`python -m tests.faults.queue_process WHAT FOLDER [NUMBER]`: a worker in a process of its own.

    live   play `queue_cycle.cycle` once
    drain  claim and end everything that waits
    hold   claim one order as soon as there is one, wait for a line on standard input, then end it
    churn  enqueue orders without end, and end every second one

Each says what it did on standard output, in lines of JSON.
"""

import itertools
import sys
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, QueueTimes
from galaxy_core.domain.errors import LeaseLost
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from tests.faults import queue_cycle

LEASE = timedelta(seconds=1)

say = queue_cycle.say_on(sys.stdout.fileno())


def _open(folder: Path) -> FilesystemOrderQueue:
    return FilesystemOrderQueue(
        Layout(folder),
        machine="test",
        clock=SystemClock(),
        incidents=MemoryIncidentSink(),
        times=QueueTimes(lease=LEASE, rescan=LEASE),
    )


async def live(folder: Path) -> None:
    """Play the whole cycle."""
    await queue_cycle.cycle(folder, say)


async def drain(folder: Path) -> None:
    """End everything, until nothing came for half a second."""
    async with _open(folder) as queue:
        say("open", queue.worker)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        while True:
            delivery = await queue.claim()
            if delivery is not None:
                say("claimed", delivery.order.id)
                await queue.ack(delivery, make_ending())
            elif not await queue.wait(timedelta(milliseconds=500)):
                return


async def hold(folder: Path) -> None:
    """Hold one order until told to end it."""
    async with _open(folder) as queue:
        say("open", queue.worker)
        while (delivery := await queue.claim()) is None:
            await queue.wait()
        say("claimed", delivery.order.id)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        try:
            await queue.ack(delivery, make_ending())
            say("ended", delivery.order.id)
        except LeaseLost:
            say("lost", delivery.order.id)


async def churn(folder: Path) -> None:
    """Accept orders for ever, and end half of them."""
    async with _open(folder) as queue:
        for number in itertools.count():
            order = make_order(id=f"order-{number}", session=f"talk-{number % 7}")
            say("accepted", (await queue.enqueue(order)).order_id)
            if number % 2:
                delivery = await queue.claim()
                assert delivery is not None
                await queue.ack(delivery, make_ending())
                say("ended", delivery.order.id)


if __name__ == "__main__":
    anyio.run(globals()[sys.argv[1]], Path(sys.argv[2]))
