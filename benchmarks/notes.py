"""Notes beside a bare append and sync of as many bytes on the same disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from pathlib import Path

import anyio
from anyio import to_thread

from benchmarks import _machine
from benchmarks._figure import Figure, median_ms, percentile
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_core.ports.note_store import Note
from galaxy_core.testing.memory import MemoryIncidentSink

CALLS = 600
WRITERS, EACH = 32, 40
MANY = 50_000

_TEXT = "x" * 600
_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def note(number: int) -> Note:
    """A note as large as a message from a chat."""
    return Note(kind="update", key=f"telegram:{number}", value={"text": _TEXT, "number": number})


def run() -> list[Figure]:
    """Measure on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as folder:
        return [*anyio.run(_writing, Path(folder)), *anyio.run(_with_many, Path(folder))]


def _store(path: Path) -> SqliteNoteStore:
    return SqliteNoteStore(path, SystemClock(), MemoryIncidentSink())


async def _timed(samples: list[float], call: Callable[[], Awaitable[object]]) -> None:
    begun = time.perf_counter()
    await call()
    samples.append(time.perf_counter() - begun)


async def _writing(folder: Path) -> list[Figure]:
    numbers = count()
    fd = os.open(folder / "bare.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    line = _TEXT.encode() + b"\n"

    def append() -> None:
        os.write(fd, line)
        _sync(fd)

    bare: list[float] = []
    alone: list[float] = []
    async with _store(folder / "writing.sqlite3") as store:
        for _ in range(CALLS):
            await _timed(bare, partial(to_thread.run_sync, append))
            await _timed(alone, partial(store.add, [note(next(numbers))]))

        async def write() -> None:
            for _ in range(EACH):
                await store.add([note(next(numbers))])

        begun = time.perf_counter()
        async with anyio.create_task_group() as group:
            for _ in range(WRITERS):
                group.start_soon(write, name="write")
        together = WRITERS * EACH / (time.perf_counter() - begun)
    os.close(fd)
    return [
        Figure(name="bare append + sync, in a thread", value=median_ms(bare), unit="ms"),
        Figure(name="add() alone", value=median_ms(alone), unit="ms"),
        Figure(name="add() alone, p99", value=percentile(alone, 99) * 1e3, unit="ms"),
        Figure(name="add() alone", value=1 / statistics.median(alone), unit="notes/s"),
        Figure(
            name="add() alone / bare",
            value=statistics.median(alone) / statistics.median(bare),
            unit="ratio",
            limit=2,
        ),
        Figure(name=f"add() by {WRITERS} at once", value=together, unit="notes/s"),
        Figure(
            name=f"{WRITERS} at once / bare, one by one",
            value=together * statistics.median(bare),
            unit="ratio",
            limit=3,
            is_at_least=True,
            note="group commit",
        ),
    ]


async def _with_many(folder: Path) -> list[Figure]:
    """What a store of many notes costs to open and to ask."""
    path = folder / "many.sqlite3"
    async with _store(path) as store:
        for first in range(0, MANY, 5_000):
            await store.add([note(number) for number in range(first, first + 5_000)])
        await store.close("update", [note(number).key for number in range(MANY - 100)])
    opening: list[float] = []
    getting: list[float] = []
    listing: list[float] = []
    for _ in range(5):
        store = _store(path)
        await _timed(opening, store.__aenter__)
        for number in range(40):
            await _timed(getting, partial(store.get, "update", note(MANY - 1 - number).key))
        await _timed(listing, partial(store.list, "update"))
        await store.aclose()
    return [
        Figure(name=f"open and check {MANY:,}", value=median_ms(opening), unit="ms", limit=1_000),
        Figure(name="get() one of them", value=median_ms(getting), unit="ms"),
        Figure(name="list() the 100 that are open", value=median_ms(listing), unit="ms"),
    ]
