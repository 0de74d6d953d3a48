"""The audit trail beside a bare append and sync of as many bytes on the same disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from benchmarks import _machine
from benchmarks._figure import Figure, alternate, median_ms, percentile
from galaxy_adapters.audit_jsonl import JsonlAuditSink, JsonlAuditTrail, _log
from galaxy_adapters.audit_jsonl._line import GENESIS, chain, encode_body
from galaxy_core.domain.audit import AuditEvent, AuditQuery

ROUNDS, CALLS = 5, 200
WRITERS = 32
MANY = 200_000

_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def event(number: int) -> AuditEvent:
    """A line as Hermes writes them."""
    return AuditEvent(
        timestamp=datetime.now(UTC),
        event_type="order_executed_success",
        order_id=f"20260202-062557-{number}",
        machine="lab-server",
        data={"attempt": 1, "session_id": "ses_0123456789", "elapsed_ms": 48_211, "tokens": 9_120},
    )


def run() -> list[Figure]:
    """Measure on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as folder:
        return [
            *_blocking(Path(folder)),
            *anyio.run(_through_the_port, Path(folder)),
            *anyio.run(_reading, Path(folder)),
        ]


class BareFile:
    """What everything is compared with: one line, one write, one sync."""

    def __init__(self, path: Path) -> None:
        self._line, _ = chain([encode_body(event(1))], GENESIS)
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self) -> None:
        """Append the line and sync it."""
        os.write(self._fd, self._line)
        _sync(self._fd)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def _blocking(folder: Path) -> list[Figure]:
    bare = BareFile(folder / "bare.log")
    log = _log.ChainedLog(
        folder / "blocking.jsonl", rotate_bytes=None, lock_timeout=timedelta(seconds=10)
    )
    one = event(1)
    samples = alternate(
        {
            "bare": bare.append,
            "chained": lambda: log.append([encode_body(one)], one.timestamp),
        },
        rounds=ROUNDS,
        calls=CALLS,
    )
    unsynced = _unsynced_us(log, one)
    bare.close()
    log.close()
    ratio = median_ms(samples["chained"]) / median_ms(samples["bare"])
    return [
        Figure(name="bare append + sync", value=median_ms(samples["bare"]), unit="ms"),
        Figure(
            name="chained, locked append + sync", value=median_ms(samples["chained"]), unit="ms"
        ),
        Figure(name="its work without the sync", value=unsynced, unit="us"),
        Figure(name="chained / bare", value=ratio, unit="ratio", limit=1.15, note="one thread"),
    ]


def _unsynced_us(log: _log.ChainedLog, one: AuditEvent) -> float:
    """What lock, chain and note cost by themselves."""
    real = _log._sync_data
    _log._sync_data = lambda _fd: None
    try:
        times = alternate(
            {"x": lambda: log.append([encode_body(one)], one.timestamp)}, rounds=3, calls=500
        )
    finally:
        _log._sync_data = real
    return statistics.median(times["x"]) * 1e6


async def _through_the_port(folder: Path) -> list[Figure]:
    bare = BareFile(folder / "bare-in-thread.log")
    sink = JsonlAuditSink(folder / "port.jsonl")
    samples: dict[str, list[float]] = {"bare": [], "port": []}

    async def timed(name: str, call: Callable[[], Awaitable[object]]) -> None:
        begun = time.perf_counter()
        await call()
        samples[name].append(time.perf_counter() - begun)

    for number in range(ROUNDS * CALLS):
        one = [event(number)]
        await timed("bare", partial(to_thread.run_sync, bare.append))
        await timed("port", partial(sink.record, one))
    together = await _together(sink)
    bare.close()
    await sink.close()
    ratio = median_ms(samples["port"]) / median_ms(samples["bare"])
    return [
        Figure(name="bare, in a worker thread", value=median_ms(samples["bare"]), unit="ms"),
        Figure(name="record() alone", value=median_ms(samples["port"]), unit="ms"),
        Figure(name="record() alone, p99", value=percentile(samples["port"], 99) * 1e3, unit="ms"),
        Figure(name="record() / bare, both in a thread", value=ratio, unit="ratio", limit=1.15),
        Figure(name=f"record() by {WRITERS} at once", value=together, unit="events/s"),
        Figure(
            name=f"{WRITERS} at once / bare, one by one",
            value=together * statistics.median(samples["bare"]),
            unit="ratio",
            limit=3,
            is_at_least=True,
            note="group commit",
        ),
    ]


async def _together(sink: JsonlAuditSink) -> float:
    """Events on record per second when many tasks write one each, again and again."""

    async def write() -> None:
        for number in range(CALLS // 4):
            await sink.record([event(number)])

    begun = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(WRITERS):
            group.start_soon(write, name="write")
    return WRITERS * (CALLS // 4) / (time.perf_counter() - begun)


async def _reading(folder: Path) -> list[Figure]:
    path = folder / "long.jsonl"
    sink, trail = JsonlAuditSink(path), JsonlAuditTrail(path)
    for first in range(0, MANY, 20_000):
        await sink.record([event(number) for number in range(first, first + 20_000)])
    await sink.close()
    newest = []
    for _ in range(20):
        begun = time.perf_counter()
        await trail.read(AuditQuery(limit=100))
        newest.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    report = await trail.verify()
    seconds = time.perf_counter() - begun
    assert report.is_intact
    megabytes = sum(part.stat().st_size for part in folder.glob("long*.jsonl")) / 1e6
    return [
        Figure(name=f"newest 100 of {MANY:,} lines", value=median_ms(newest), unit="ms", limit=20),
        Figure(
            name="verify",
            value=megabytes / seconds * 60,
            unit="MB/min",
            limit=100,
            is_at_least=True,
        ),
    ]
