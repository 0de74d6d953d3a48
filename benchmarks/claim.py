"""Claim and ack without their syncs: the queue's own work, and whether the backlog slows it.

An ack works in a thread, because its syncs would stop everybody else.  The way there and back is
measured by itself, and is no part of the work that is held to the limit.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
from attrs import define, field

from benchmarks._disk import memory_folder
from benchmarks._figure import Figure, percentile
from benchmarks._project import make_project, order_bytes
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.wire.layout import Layout

SIZES = (100, 1_000, 10_000, 100_000)
BLOCKS, CYCLES = 12, 50
CONVERSATIONS = 997
"""Or as many as there are orders, if those are fewer."""
LIMIT_MS = 0.2
FLAT = 1.5


def run() -> list[Figure]:
    """Measure in memory, with syncs that do nothing."""
    with memory_folder() as folder, without_syncs():
        return anyio.run(_measure, folder)


@contextmanager
def without_syncs() -> Iterator[None]:
    """Let every sync return at once."""
    real = os.fsync, os.fdatasync
    os.fsync = os.fdatasync = _no_sync  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync, os.fdatasync = real


@define
class Backlog:
    """A queue with so many orders in it, and how long its calls took."""

    size: int
    queue: FilesystemOrderQueue
    orders: Path
    claims: list[float] = field(factory=list)
    acks: list[float] = field(factory=list)
    hops: list[float] = field(factory=list)

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
        again = self.orders / f"again-{len(self.acks)}.json"
        again.write_bytes(order_bytes(session=delivery.order.session))
        # Finding the new file is nobody's claim.
        assert await self.queue.wait(timedelta(0))


def _nothing() -> None:
    """Go to a thread for this."""


def _no_sync(_file: object) -> None:
    """Do as if it was on the disk."""


async def _measure(folder: Path) -> list[Figure]:
    async with AsyncExitStack() as stack:
        backlogs = [
            await stack.enter_async_context(_filled(folder / str(size), size)) for size in SIZES
        ]
        for _ in range(BLOCKS):
            # In turn: whatever else the machine does meets all sizes alike.
            for backlog in backlogs:
                for _ in range(CYCLES):
                    await backlog.cycle()
    claims = [backlog.claims for backlog in backlogs]
    hops = [backlog.hops for backlog in backlogs]
    acks = [[ack - statistics.median(backlog.hops) for ack in backlog.acks] for backlog in backlogs]
    hop = statistics.median(itertools.chain.from_iterable(hops)) * 1e3
    return [
        *_rows("claim", claims),
        *_rows("ack, its work", acks),
        Figure(name="beside it: to a thread and back", value=hop, unit="ms"),
    ]


@asynccontextmanager
async def _filled(folder: Path, size: int) -> AsyncIterator[Backlog]:
    place = make_project(folder)
    orders = Layout(folder).orders
    lanes = min(size, CONVERSATIONS)
    texts = [order_bytes(session=f"talk-{number}") for number in range(lanes)]
    for number in range(size):
        (orders / f"order-{number}.json").write_bytes(texts[number % lanes])
    async with place.queue() as queue:
        while queue._intake.is_loading:  # noqa: ASYNC110 - it rings no bell
            await anyio.sleep(0.01)
        yield Backlog(size, queue, orders)


def _rows(verb: str, times: list[list[float]]) -> list[Figure]:
    medians = [statistics.median(each) * 1e3 for each in times]
    rows = [
        Figure(
            name=f"{verb}, {size:,} waiting",
            value=median,
            unit="ms",
            limit=LIMIT_MS,
            note=f"p99 {percentile(each, 99) * 1e3:.2f} ms",
        )
        for size, median, each in zip(SIZES, medians, times, strict=True)
    ]
    flatness = medians[-1] / medians[0]
    name = f"{verb}, {SIZES[-1]:,} / {SIZES[0]:,} waiting"
    return [*rows, Figure(name=name, value=flatness, unit="ratio", limit=FLAT)]
