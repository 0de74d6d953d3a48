"""From the close of an order's file to the call of the agent, idle, with every sync before it."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from attrs import define, field

from benchmarks import _machine
from benchmarks._child import Child, running
from benchmarks._figure import Figure, percentile
from benchmarks._idle_hermes import HOLD
from benchmarks._project import drop, make_project, order_bytes
from galaxy_core.wire.layout import Layout

BLOCKS, ORDERS = 5, 60
GAP_S = (0.020, 0.060)
CONVERSATIONS = 8
BACKLOG = 100_000
HELD = 2
"""Conversations whose first order runs all the time; half of the backlog waits behind them."""
P50_MS, P99_MS = 5.0, 25.0


@define
class Hermes:
    """A Hermes in a process of its own, and the orders that were dropped for it."""

    folder: Path
    child: Child
    closed: dict[str, int] = field(factory=dict)

    def drop_some(self, count: int) -> None:
        """Drop orders, at moments that it cannot foresee."""
        for _ in range(count):
            number = len(self.closed)
            order_id = f"timed-{number}"
            data = order_bytes(session=f"talk-{number % CONVERSATIONS}")
            time.sleep(random.uniform(*GAP_S))
            path = Layout(self.folder).orders / f"{order_id}.json"
            self.closed[order_id] = drop(path, data)


@define
class Result:
    """What one Hermes noted, in ms."""

    whole: list[float] = field(factory=list)
    until_prepared: list[float] = field(factory=list)
    syncs: list[tuple[str, ...]] = field(factory=list)
    """For each order, what was synced before its call."""


def run() -> list[Figure]:
    """Measure; the two take turns in blocks, so that both meet the same machine."""
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as home:
        idle, loaded = Path(home, "idle"), Path(home, "loaded")
        make_project(idle)
        make_project(loaded, workers=4 + HELD)
        write_backlog(Layout(loaded).orders)
        os.sync()  # else the kernel writes the backlog out while we measure
        with running("_idle_hermes", idle) as one, running("_idle_hermes", loaded) as other:
            machines = [Hermes(idle, one), Hermes(loaded, other)]
            known = [hermes.child.ask("ready?")["ready"] for hermes in machines]
            time.sleep(1.0)
            bare: list[float] = []
            for _ in range(BLOCKS):
                for hermes in machines:
                    hermes.drop_some(ORDERS)
                bare += bare_syncs(Path(home, "bare"), ORDERS // 2)
            time.sleep(1.0)
            results = [result_of(hermes) for hermes in machines]
    return figures(results[0], results[1], waiting=known[1], bare=bare)


def write_backlog(orders: Path) -> None:
    """Orders that cannot run now: half for a time to come, half behind orders that run."""
    for number in range(HELD):
        data = order_bytes(HOLD, session=f"held-{number}")
        drop(orders / f"0-head-{number}.json", data)
    later = order_bytes(not_before="2099-01-01T00:00:00+00:00")
    behind = [order_bytes(session=f"held-{number}") for number in range(HELD)]
    for number in range(BACKLOG // 2):
        drop(orders / f"later-{number}.json", later)
        drop(orders / f"behind-{number}.json", behind[number % HELD])


def bare_syncs(path: Path, count: int) -> list[float]:
    """What the disk takes for three syncs in a row of something new, in ms, with the same gaps."""
    samples = []
    with path.open("ab", buffering=0) as file:
        for _ in range(count):
            time.sleep(random.uniform(*GAP_S))
            begun = time.perf_counter()
            for _ in range(3):
                file.write(b"x" * 300)
                os.fsync(file.fileno())
            samples.append((time.perf_counter() - begun) * 1e3)
    return samples


def result_of(hermes: Hermes) -> Result:
    """Stop it and put together what it noted with when its orders were dropped."""
    noted = hermes.child.ask("stop")
    result = Result()
    syncs = [(moment, Path(name)) for moment, name in noted["syncs"]]
    for order_id, closed in hermes.closed.items():
        prepared, called = noted["calls"][order_id]
        result.whole.append((called - closed) / 1e6)
        result.until_prepared.append((prepared - closed) / 1e6)
        result.syncs.append(
            tuple(sorted(kind_of(path) for at, path in syncs if closed <= at <= called))
        )
    return result


def kind_of(path: Path) -> str:
    """What a synced file is, whatever its name."""
    if path.name.startswith(".tmp-"):
        return f"{path.parent.name}/(new file)"
    if path.name.startswith("timed-"):
        return f"{path.parent.name}/(order)"
    return path.name


def figures(idle: Result, loaded: Result, *, waiting: int, bare: list[float]) -> list[Figure]:
    """The table."""
    (usual, times), *_ = Counter(idle.syncs).most_common()
    share = times / len(idle.syncs)
    rows: list[Figure] = []
    for name, result in (("idle", idle), (f"{waiting:,} waiting", loaded)):
        before = result.until_prepared
        rows += [
            _milliseconds(f"{name}: p50", result.whole, 50, limit=P50_MS),
            _milliseconds(f"{name}: p99", result.whole, 99, limit=P99_MS),
            _milliseconds(f"{name}: before the first sync, p50", before, 50),
            _milliseconds(f"{name}: before the first sync, p99", before, 99),
        ]
    return [
        *rows,
        Figure(
            name="p50 with the backlog / idle",
            value=percentile(loaded.whole, 50) / percentile(idle.whole, 50),
            unit="ratio",
        ),
        Figure(
            name="syncs before the call",
            value=len(usual),
            unit="syncs",
            note=f"{', '.join(usual)} ({share:.0%} of the orders)",
        ),
        _milliseconds("beside it, three bare syncs: p50", bare, 50),
        _milliseconds("beside it, three bare syncs: p99", bare, 99),
    ]


def _milliseconds(
    name: str, samples: list[float], percent: float, *, limit: float | None = None
) -> Figure:
    value = percentile(samples, percent)
    return Figure(name=name, value=value, unit="ms", limit=limit, note=f"{len(samples)} orders")
