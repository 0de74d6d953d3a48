"""Durable enqueues beside the disk's own rate, and beside queues that people would take instead."""

from __future__ import annotations

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path

import anyio
from attrs import define, field

from benchmarks import _machine
from benchmarks._figure import Figure
from benchmarks._project import make_project
from benchmarks._rivals import RIVALS, syncs_for_each
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.wire.order import encode_order

ROUNDS, CALLS, BLOCK = 5, 60, 40
WRITERS, EACH = 32, 12
ALONE, TOGETHER = 0.9, 0.8
_OURS, _DISK = "galaxy", "disk"


def order(number: int) -> Order:
    """An order as a channel hands it in."""
    return Order(
        id=OrderId(f"20260202-062557-{number}"),
        payload="Look at the failing test and tell me what is wrong with it.",
        sender="4711",
        target="production",
        channel="telegram",
        chat_id="4711",
        session=f"telegram:{number % 8}",
    )


@define
class Disk:
    """What the disk can do: write, sync, rename, sync the folder, and nothing besides."""

    folder: Path
    data: bytes
    _numbers: count[int] = field(factory=count, init=False)

    def store(self) -> None:
        """Put one file into the folder, durably."""
        name = f"{self.folder}/{next(self._numbers)}"
        fd = os.open(name + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.write(fd, self.data)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(name + ".tmp", name)  # noqa: PTH104 - nothing but the calls themselves
        fd = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def run() -> list[Figure]:
    """Measure ourselves beside the disk call by call, then everybody in blocks."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as home:
        folder = Path(home)
        queue = make_project(folder / "ours").queue()
        (folder / "disk").mkdir()
        disk = Disk(folder / "disk", encode_order(order(1)))
        alone = anyio.run(_alone, queue, disk)
        beside = anyio.run(_beside_others, queue, disk, folder)
        together = anyio.run(_together, queue, disk)
    return [*_alone_figures(alone), *_beside_figures(beside), *_together_figures(together)]


async def _alone(queue: FilesystemOrderQueue, disk: Disk) -> dict[str, list[float]]:
    """Seconds of each call, one writer."""
    numbers = count()
    samples: dict[str, list[float]] = {_OURS: [], _DISK: []}

    async def ours() -> None:
        new = order(next(numbers))
        begun = time.perf_counter()
        await queue.enqueue(new)
        samples[_OURS].append(time.perf_counter() - begun)

    async def theirs() -> None:
        begun = time.perf_counter()
        disk.store()
        samples[_DISK].append(time.perf_counter() - begun)

    for turn in range(ROUNDS * CALLS):
        # Who comes second may find the disk in another state than who comes first.
        for call in (ours, theirs) if turn % 2 else (theirs, ours):
            await call()
    return samples


async def _beside_others(
    queue: FilesystemOrderQueue, disk: Disk, folder: Path
) -> dict[str, list[float]]:
    """Stored orders a second in each block.

    In blocks, because who does not sync leaves that to whoever syncs next.
    """
    numbers = count(500_000)
    data = disk.data
    rates: dict[str, list[float]] = {}
    calls: dict[str, Callable[[], object]] = {_DISK: disk.store}
    calls |= {name: partial(make(folder), data) for name, make in RIVALS.items()}
    for _ in range(ROUNDS):
        os.sync()
        begun = time.perf_counter()
        for _ in range(BLOCK):
            await queue.enqueue(order(next(numbers)))
        rates.setdefault(_OURS, []).append(BLOCK / (time.perf_counter() - begun))
        for name, call in calls.items():
            os.sync()
            begun = time.perf_counter()
            for _ in range(BLOCK):
                call()
            rates.setdefault(name, []).append(BLOCK / (time.perf_counter() - begun))
    return rates


async def _together(queue: FilesystemOrderQueue, disk: Disk) -> dict[str, list[float]]:
    """Stored orders a second in each round, many writers at once."""
    numbers = count(1_000_000)
    rates: dict[str, list[float]] = {_OURS: [], _DISK: []}

    async def write() -> None:
        for _ in range(EACH):
            await queue.enqueue(order(next(numbers)))

    for _ in range(ROUNDS):
        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(WRITERS):
                group.start_soon(write, name="write")
        rates[_OURS].append(WRITERS * EACH / (time.perf_counter() - begun))
        rates[_DISK].append(await anyio.to_thread.run_sync(_disk_together, disk))
    return rates


def _disk_together(disk: Disk) -> float:
    ready = threading.Barrier(WRITERS + 1)

    def write() -> None:
        ready.wait()
        for _ in range(EACH):
            disk.store()

    with ThreadPoolExecutor(WRITERS) as threads:
        done = [threads.submit(write) for _ in range(WRITERS)]
        ready.wait()
        begun = time.perf_counter()
        for each in done:
            each.result()
        return WRITERS * EACH / (time.perf_counter() - begun)


def _alone_figures(samples: dict[str, list[float]]) -> list[Figure]:
    ours, disk = (statistics.median(samples[name]) for name in (_OURS, _DISK))
    return [
        Figure(name="the disk itself, one writer", value=1 / disk, unit="/s"),
        Figure(name="Galaxy, one writer", value=1 / ours, unit="/s"),
        Figure(
            name="Galaxy / disk, one writer",
            value=disk / ours,
            unit="ratio",
            limit=ALONE,
            is_at_least=True,
        ),
    ]


def _beside_figures(rates: dict[str, list[float]]) -> list[Figure]:
    notes = {_DISK: _note(2), _OURS: _note(2)} | {
        name: _note(syncs_for_each(name)) for name in RIVALS
    }
    names = {_DISK: "the disk itself", _OURS: "Galaxy"}
    return [
        Figure(
            name=f"side by side: {names.get(name, name)}",
            value=statistics.median(each),
            unit="/s",
            note=notes[name],
        )
        for name, each in rates.items()
    ]


def _note(syncs: float | None) -> str:
    if syncs is None:
        return "syncs before it says stored: not counted (no strace)"
    return f"syncs before it says stored: {syncs:.2g}"


def _together_figures(rates: dict[str, list[float]]) -> list[Figure]:
    medians = {name: statistics.median(each) for name, each in rates.items()}
    ratios = [ours / disk for ours, disk in zip(rates[_OURS], rates[_DISK], strict=True)]
    return [
        Figure(name=f"the disk itself, {WRITERS} writers", value=medians[_DISK], unit="/s"),
        Figure(name=f"Galaxy, {WRITERS} writers", value=medians[_OURS], unit="/s"),
        Figure(
            name=f"Galaxy / disk, {WRITERS} writers",
            value=statistics.median(ratios),
            unit="ratio",
            limit=TOGETHER,
            is_at_least=True,
        ),
    ]
