"""A worker with a backlog: `python -m benchmarks._claimer FOLDER SIZE`.

A process of its own, as a Hermes is: it has one queue, and its processor's caches hold that one.
On standard output, one JSON object a line: `{"ready": N}` once N orders wait, and for each number
of cycles that it reads from standard input `{"claims", "acks", "hops"}`, lists of seconds.  Syncs
do nothing.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import define, field

from benchmarks._child import say
from benchmarks._project import make_project, order_bytes
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_apps.daemons import start_is_over
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.wire.layout import Layout

CONVERSATIONS = 997
"""Or as many as there are orders, if those are fewer."""


@define
class Claimer:
    """A queue with a backlog, and how long its calls took."""

    queue: FilesystemOrderQueue
    orders: Path
    claims: list[float] = field(factory=list)
    acks: list[float] = field(factory=list)
    hops: list[float] = field(factory=list)
    _number: int = 0

    async def cycle(self) -> None:
        """One order out, and another one in its place."""
        begun = time.perf_counter()
        delivery = await self.queue.claim()
        self.claims.append(time.perf_counter() - begun)
        assert delivery is not None
        ending = Ending(
            outcome=Outcome.SUCCEEDED,
            finished_at=datetime.now(UTC),
            acknowledged_by="Hermes (bench)",
            attempts=delivery.attempt,
        )
        begun = time.perf_counter()
        await self.queue.ack(delivery, ending)
        self.acks.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        await anyio.to_thread.run_sync(_nothing)
        self.hops.append(time.perf_counter() - begun)
        self._number += 1
        again = self.orders / f"again-{self._number}.json"
        again.write_bytes(order_bytes(session=delivery.order.session))
        # Finding the new file is nobody's claim.
        assert await self.queue.wait(timedelta(0))

    def told(self) -> dict[str, list[float]]:
        """What was measured since the last call."""
        told = {"claims": self.claims, "acks": self.acks, "hops": self.hops}
        self.claims, self.acks, self.hops = [], [], []
        return told


def _nothing() -> None:
    """Go to a thread for this."""


def _no_sync(_file: object) -> None:
    """Do as if it was on the disk."""


def write_backlog(orders: Path, size: int) -> None:
    """So many orders that could be claimed."""
    lanes = min(size, CONVERSATIONS)
    texts = [order_bytes(session=f"talk-{number}") for number in range(lanes)]
    for number in range(size):
        (orders / f"order-{number}.json").write_bytes(texts[number % lanes])


async def serve(folder: Path, size: int) -> None:
    """Measure as often as asked to."""
    place = make_project(folder)
    orders = Layout(folder).orders
    write_backlog(orders, size)
    async with place.queue() as queue:
        start_is_over()
        while queue._intake.is_loading:  # noqa: ASYNC110 - it rings no bell
            await anyio.sleep(0.01)
        claimer = Claimer(queue, orders)
        say({"ready": len(queue._index)})
        while cycles := await anyio.to_thread.run_sync(sys.stdin.readline):
            for _ in range(int(cycles)):
                await claimer.cycle()
            say(claimer.told())


if __name__ == "__main__":
    os.fsync = os.fdatasync = _no_sync  # type: ignore[assignment]
    anyio.run(serve, Path(sys.argv[1]), int(sys.argv[2]))
