"""Claim and ack without their syncs: the queue's own work, and whether the backlog slows it.

An ack works in a thread, because its syncs would stop everybody else.  The way there and back is
measured by itself, and is no part of the work that is held to the limit.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from attrs import define, field

from benchmarks._child import Child, running
from benchmarks._disk import memory_folder
from benchmarks._figure import Figure, percentile

SIZES = (100, 1_000, 10_000, 100_000)
BLOCKS, CYCLES = 12, 50
LIMIT_MS = 0.2
FLAT = 1.5


@define
class Worker:
    """One in a process of its own, and how long its calls took."""

    child: Child
    claims: list[float] = field(factory=list)
    acks: list[float] = field(factory=list)
    hops: list[float] = field(factory=list)

    def measure(self, cycles: int) -> None:
        """Have it claim and end so many orders."""
        heard = self.child.ask(cycles)
        self.claims += heard["claims"]
        self.acks += heard["acks"]
        self.hops += heard["hops"]


@contextmanager
def with_orders(folder: Path, size: int) -> Iterator[Worker]:
    """Start one with so many orders in its queue, all of them known."""
    with running("_claimer", folder / str(size), size) as child:
        assert child.hear()["ready"] == size
        yield Worker(child)


def run() -> list[Figure]:
    """Measure in memory, with syncs that do nothing."""
    with ExitStack() as stack:
        folder = stack.enter_context(memory_folder())
        workers = [stack.enter_context(with_orders(folder, size)) for size in SIZES]
        for _ in range(BLOCKS):
            # In turn: whatever else the machine does meets all sizes alike.
            for worker in workers:
                worker.measure(CYCLES)
    acks = [[ack - statistics.median(worker.hops) for ack in worker.acks] for worker in workers]
    hops = itertools.chain.from_iterable(worker.hops for worker in workers)
    return [
        *_rows("claim", [worker.claims for worker in workers]),
        *_rows("ack, its work", acks),
        Figure(
            name="beside it: to a thread and back", value=statistics.median(hops) * 1e3, unit="ms"
        ),
    ]


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
