"""The index of the trail: feeding it 100,000 orders, and what a page then pays."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import anyio

from benchmarks import _machine
from benchmarks._figure import Figure, median_ms, percentile
from galaxy_adapters.audit_jsonl import JsonlAuditTrail
from galaxy_adapters.audit_jsonl._line import GENESIS, chain, encode_body
from galaxy_adapters.index_sqlite import SqliteTrailIndex
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.trail_index import AuditSearch, TrailIndex

ORDERS = 100_000
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_EVERY = timedelta(seconds=30)
_BATCH = 1_000
_CALLS = 200
QUICK_MS = 5
_TEXT = "Look at the numbers of last week, and say what is odd about them in a table; be short"


def order_id(number: int) -> str:
    """Ids as the gateway makes them."""
    return f"{_BEGAN + _EVERY * number:%Y%m%d-%H%M%S}-telegram-{number:08x}"


def lines_of(number: int) -> list[AuditEvent]:
    """All lines about one order, from submission to delivery."""
    name, at = order_id(number), _BEGAN + _EVERY * number
    has_failed = number % 50 == 0
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
            machine="lab",
            data=data,
        )
        for place, (event_type, data) in enumerate(said)
    ]


def write_trail(path: Path) -> None:
    """The trail of all orders, chained as Hermes would have."""
    head = GENESIS
    with path.open("wb") as file:
        for first in range(0, ORDERS, _BATCH):
            bodies = [
                encode_body(event)
                for number in range(first, first + _BATCH)
                for event in lines_of(number)
            ]
            lines, head = chain(bodies, head)
            file.write(lines)


def run() -> list[Figure]:
    """Measure on the disk of the temporary folder."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as folder:
        return anyio.run(_measure, Path(folder))


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
