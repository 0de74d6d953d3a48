"""The index of the trail: feeding it 100,000 orders, and what a page then pays."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from benchmarks import _machine
from benchmarks._figure import Figure, median_ms, percentile
from benchmarks._project import MACHINE, make_project
from galaxy_adapters.audit_jsonl import JsonlAuditTrail
from galaxy_adapters.audit_jsonl._line import GENESIS, chain, encode_body
from galaxy_adapters.folder_filesystem import FilesystemMachineFolder
from galaxy_adapters.index_sqlite import SqliteTrailIndex
from galaxy_apps.wiring import open_desk
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.ports.trail_index import AuditSearch, TrailIndex
from galaxy_core.services.front_desk import LocalFrontDesk
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.insight import InsightPorts, LocalInsight, TrailFeeding, TrailSource
from galaxy_core.services.trail import Trail
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.wire.order import encode_archived

ORDERS = 100_000
WAITING = 20
OLDER = 10
"""Archived orders that stand in no trail."""
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
FAILS = 50
"""One in so many."""
_EVERY = timedelta(seconds=30)
_BATCH = 1_000
_CALLS = 200
QUICK_MS = 5
_TEXT = "Look at the numbers of last week, and say what is odd about them in a table; be short"


def order_id(number: int) -> str:
    """Ids as the gateway makes them."""
    return f"{_BEGAN + _EVERY * number:%Y%m%d-%H%M%S}-telegram-{number:08x}"


def lines_of(number: int, machine: str) -> list[AuditEvent]:
    """All lines about one order, from submission to delivery."""
    name, at = order_id(number), _BEGAN + _EVERY * number
    has_failed = number % FAILS == 0
    session = f"ses_{number % 500:026x}"
    said: list[tuple[str, dict[str, JSONValue]]] = [
        ("order_submitted", {"key": f"telegram:{number}", "channel": "telegram", "chat_id": "42"}),
        ("order_received", {"sender": "Ann", "channel": "telegram", "payload_preview": _TEXT}),
        ("order_claimed", {"attempt": 1}),
        (
            "order_execution_started",
            {"attempt": 1, "session_id": session, "payload_preview": _TEXT},
        ),
        (
            "order_executed_failure" if has_failed else "order_executed_success",
            {
                "outcome": "failed" if has_failed else "succeeded",
                "session_id": session,
                "elapsed_s": 5 + number % 97,
                "tokens": 9_120 + number % 1000,
                "cost_usd": 0.01,
                "payload_preview": _TEXT,
            },
        ),
        ("letter_delivered", {"letter": f"hermes-{name}", "channel": "telegram"}),
    ]
    return [
        AuditEvent(
            timestamp=at + timedelta(seconds=place),
            event_type=event_type,
            severity=AuditSeverity.ERROR if "failure" in event_type else AuditSeverity.INFO,
            order_id=name,
            machine=machine,
            data=data,
        )
        for place, (event_type, data) in enumerate(said)
    ]


def write_trail(path: Path, machine: str = "lab") -> None:
    """The trail of all orders, chained as Hermes would have."""
    head = GENESIS
    with path.open("wb") as file:
        for first in range(0, ORDERS, _BATCH):
            bodies = [
                encode_body(event)
                for number in range(first, first + _BATCH)
                for event in lines_of(number, machine)
            ]
            lines, head = chain(bodies, head)
            file.write(lines)


def run() -> list[Figure]:
    """Measure on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as folder:
        return [
            *anyio.run(_measure, Path(folder)),
            *anyio.run(_with_archive, Path(folder) / "project"),
        ]


async def _feed(trail: JsonlAuditTrail, index: TrailIndex) -> int:
    """What `TrailFeeding` does, without its pauses."""
    lines = 0
    async with index.feeder() as feeder:
        assert feeder is not None
        mark, is_at_end = (await feeder.marks()).get("trail"), False
        while not is_at_end:
            piece = await trail.read_on(mark, limit=_BATCH)
            mark, is_at_end = piece.mark, piece.is_at_end
            lines += len(piece.records)
            if mark is not None:
                await feeder.add("trail", [record.event for record in piece.records], mark)
    return lines


async def _timed(calls: int, call: Callable[[], Awaitable[object]]) -> list[float]:
    samples = []
    for _ in range(calls):
        begun = time.perf_counter()
        await call()
        samples.append(time.perf_counter() - begun)
    return samples


async def _measure(folder: Path) -> list[Figure]:
    trail_path, path = folder / "galaxy-audit.jsonl", folder / "index.sqlite3"
    write_trail(trail_path)
    trail = JsonlAuditTrail(trail_path)
    index = SqliteTrailIndex(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    lines = await _feed(trail, index)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    await index.aclose()
    opening: list[float] = []
    for _ in range(20):
        begun = time.perf_counter()
        fresh = SqliteTrailIndex(path)
        totals = await fresh.totals()
        opening.append(time.perf_counter() - begun)
        assert sum(totals.ended.values()) == ORDERS
        await fresh.aclose()
    nothing_new = await _timed(20, partial(_feed, trail, index))
    now, day = _BEGAN + _EVERY * ORDERS, timedelta(days=1)
    bad = frozenset({OrderState.FAILED, OrderState.DEAD})
    asked: dict[str, tuple[float | None, Callable[[], Awaitable[object]]]] = {
        "totals()": (QUICK_MS, index.totals),
        "of_order()": (QUICK_MS, partial(index.of_order, OrderId(order_id(ORDERS // 2)))),
        "ended(), newest 50": (QUICK_MS, index.ended),
        "ended(), newest 50 that failed": (QUICK_MS, partial(index.ended, states=bad)),
        "slots(), 24 hours by the hour": (20, partial(index.slots, now - day, day / 24, 24)),
        "slots(), 30 days by the day": (None, partial(index.slots, now - 30 * day, day, 30)),
        "search(), newest 100": (10, partial(index.search, AuditSearch())),
        "search(), errors": (
            10,
            partial(index.search, AuditSearch(severity=AuditSeverity.ERROR)),
        ),
    }
    figures = [
        Figure(name=f"feed {lines:,} lines", value=seconds, unit="s", note=f"{cpu:.1f} s of work"),
        Figure(name="lines fed", value=lines / seconds, unit="lines/s"),
        Figure(name="memory that feeding took", value=grown, unit="MB", limit=60),
        Figure(name="index", value=path.stat().st_size / 1e6, unit="MB"),
        Figure(name="trail", value=trail_path.stat().st_size / 1e6, unit="MB"),
        Figure(name="open and totals()", value=median_ms(opening), unit="ms", limit=5),
        Figure(name="feed nothing new", value=median_ms(nothing_new), unit="ms"),
    ]
    for name, (limit, call) in asked.items():
        samples = await _timed(_CALLS if limit == QUICK_MS else 10, call)
        figures.append(Figure(name=name, value=median_ms(samples), unit="ms", limit=limit))
        figures.append(Figure(name=f"{name}, p99", value=percentile(samples, 99) * 1e3, unit="ms"))
    text = await _timed(5, partial(index.search, AuditSearch(text="in no line at all")))
    figures.append(Figure(name="search() for what is not there", value=median_ms(text), unit="ms"))
    await index.aclose()
    return figures


async def _with_archive(folder: Path) -> list[Figure]:
    """What a page pays beside so many archived orders: the services over files."""
    place = make_project(folder)
    _fill_archive(place.layout.archive)
    place.layout.logs.mkdir()
    write_trail(place.layout.audit_log, MACHINE)
    async with open_desk(place, place.audit_sink()) as desk:
        machine = MachinePorts(
            name=MACHINE,
            names=frozenset({MACHINE}),
            layout=place.layout,
            desk=desk,
            catalogue=place.catalogue(),
            responses=place.responses(),
            sessions=place.sessions(),
            control=place.control(),
            progress=place.progress(),
            presence=place.presence(),
            audit_trail=place.audit_trail(),
            trail=Trail(place.audit_sink(), place.clock(), MACHINE),
        )
        for number in range(WAITING):
            await desk.submit(make_order(id=f"waits-{number}"))
        index = SqliteTrailIndex(place.layout.trail_index)
        ports = InsightPorts(
            machines={MACHINE: machine},
            outboxes={MACHINE: place.outbox()},
            folders={MACHINE: FilesystemMachineFolder(place.layout)},
            trails=[TrailSource(name="trail", machine=MACHINE, trail=machine.audit_trail)],
            index=index,
            clock=place.clock(),
        )
        feeding = TrailFeeding(ports)
        async with anyio.create_task_group() as tasks:
            begun = time.perf_counter()
            tasks.start_soon(feeding.run)
            longest = await _longest_pause(index)
            seconds = time.perf_counter() - begun

            async def status() -> object:  # anew: nothing is remembered from the call before
                return await LocalInsight(ports, feeding.catch_up).machine()

            front = LocalFrontDesk(
                machines=ports.machines, index=index, clock=ports.clock, catch_up=feeding.catch_up
            )
            ended = partial(front.list, states=FINAL, limit=20)
            asked = await _timed(_CALLS, status)
            listed = await _timed(_CALLS, ended)
            counted = await LocalInsight(ports).machine()
            assert sum(counted.counts.values()) == ORDERS + WAITING + OLDER
            assert len(await ended()) == 20
            tasks.cancel_scope.cancel()
        await index.aclose()
    name = f"status of a machine, {WAITING} wait"
    return [
        Figure(name="first feeding, archive counted", value=seconds, unit="s"),
        Figure(name="longest wait of another task meanwhile", value=longest * 1e3, unit="ms"),
        Figure(name=name, value=median_ms(asked), unit="ms", limit=10),
        Figure(name=f"{name}, p99", value=percentile(asked, 99) * 1e3, unit="ms"),
        Figure(name="list of the 20 that ended last", value=median_ms(listed), unit="ms", limit=20),
    ]


async def _longest_pause(index: TrailIndex) -> float:
    """Wait until everything is fed and counted; the longest time that a short sleep took."""
    longest = 0.0
    while (MACHINE, OrderState.SUCCEEDED) not in (await index.totals()).earlier:
        begun = time.perf_counter()
        await checkpoint()
        longest = max(longest, time.perf_counter() - begun)
        await anyio.sleep(0.01)
    return longest


def _fill_archive(archive: Path) -> None:
    """Files of ended orders: few contents under many names."""
    archive.mkdir(parents=True)
    names = [f"older-{number}" for number in range(OLDER)]
    names += [order_id(number) for number in range(ORDERS)]
    begins: dict[tuple[Outcome, int], Path] = {}
    for place, name in enumerate(names):
        has_failed = name[:5] != "older" and (place - OLDER) % FAILS == 0
        outcome = Outcome.FAILED if has_failed else Outcome.SUCCEEDED
        file = archive / f"{name}.json"
        # A file has at most 65,000 names on ext4.
        begin = begins.setdefault((outcome, place // 50_000), file)
        if begin is file:
            ending = make_ending(outcome=outcome, reason="no" if has_failed else None)
            file.write_bytes(encode_archived(make_order(id=name), ending))
        else:
            os.link(begin, file)
