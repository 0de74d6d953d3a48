"""Feeding the index from the trails, as they grow.

One process feeds at a time; the others read what it has added.  Lines and the mark behind them
are added together, so a feeder that dies leaves an index that another one goes on with.  When a
trail is not the one that was read before, everything is forgotten and counted again.

Orders that ended before there was a trail are counted once, in their folder: what stands there
and in no trail.  An order that ends at that very moment makes the count doubtful, so it is made
again, a few times; the lowest answer is taken.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import anyio
import structlog
from attrs import define, evolve, field

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.errors import GalaxyError, TrailReplaced, TransientError
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.ports.trail_index import TrailFeeder
from galaxy_core.services.folders import Folder, Folders
from galaxy_core.services.insight.config import InsightPorts, TrailSource

log = structlog.get_logger(__name__)

PAUSE = timedelta(seconds=1)
"""Between two looks: what a person sees may be so old."""
ASK_AGAIN = timedelta(seconds=5)
"""While another process feeds, or the store refuses."""
FORGET_EVERY = timedelta(hours=1)
"""Old parts of a trail are removed once a day at most."""
BATCH = 1_000
"""Lines added at a time."""
_COUNTS = 3


@define(eq=False)
class TrailFeeding:
    """Keeps one index up to date while it runs."""

    _ports: InsightPorts
    _feeder: TrailFeeder | None = field(default=None, init=False)
    """While it is us who feed."""
    _is_caught_up: bool = field(default=False, init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)
    _looks: int = field(default=0, init=False)
    """How many were begun."""
    _firsts: dict[str, AuditEvent] = field(factory=dict, init=False)
    """With which line each trail began when we last looked."""
    _forget_after: float = field(default=0.0, init=False)
    """On the monotonic clock."""

    async def run(self) -> None:
        """Feed until cancelled, or stand by while another process does."""
        while True:
            try:
                async with self._ports.index.feeder() as feeder:
                    if feeder is not None:
                        await self._feed(feeder)
            except GalaxyError as error:
                log.warning("trail_index.feeding_failed", error=str(error))
            except Exception:
                # Supervision point: whatever is wrong here costs figures, not the daemon that
                # answers people in the same process.
                log.exception("trail_index.feeding_crashed")
            await self._ports.clock.sleep(ASK_AGAIN)

    async def catch_up(self) -> None:
        """Add what was written a moment ago, where it is us who feed and that takes no time."""
        feeder = self._feeder
        if feeder is None or not self._is_caught_up:
            return
        try:
            await self._look(feeder, unless_after=self._looks)
        except TransientError as error:
            log.warning("trail_index.feeding_failed", error=str(error))

    async def _feed(self, feeder: TrailFeeder) -> None:
        self._feeder = feeder
        try:
            while True:
                await self._look(feeder)
                self._is_caught_up = True
                await self._count_earlier(feeder)
                await self._forget_gone(feeder)
                await self._ports.clock.sleep(PAUSE)
        finally:
            self._feeder, self._is_caught_up = None, False

    async def _look(self, feeder: TrailFeeder, *, unless_after: int | None = None) -> None:
        """Add all that is new in any trail.

        Many callers share a look: one that began after look number `unless_after` will do.
        """
        async with self._turn:
            if feeder is not self._feeder:  # it was given up while we waited
                return
            if unless_after is not None and self._looks > unless_after:
                return
            self._looks += 1
            try:
                await self._read_all(feeder)
            except TrailReplaced as error:
                log.warning("trail_index.made_anew", reason=str(error))
                self._is_caught_up = False
                await feeder.begin_anew()
                await self._read_all(feeder)

    async def _read_all(self, feeder: TrailFeeder) -> None:
        marks = await feeder.marks()
        for source in self._ports.trails:
            mark, is_at_end = marks.get(source.name), False
            while not is_at_end:
                piece = await source.trail.read_on(mark, limit=BATCH)
                if piece.mark is not None and piece.mark != mark:
                    events = [_named(record.event, source) for record in piece.records]
                    await feeder.add(source.name, events, piece.mark)
                mark, is_at_end = piece.mark, piece.is_at_end

    # ---- what is gone from a trail

    async def _forget_gone(self, feeder: TrailFeeder) -> None:
        """Have no lines that the trails have no more: it grows as they do."""
        now = self._ports.clock.monotonic()
        if now < self._forget_after:
            return
        for source in self._ports.trails:
            piece = await source.trail.read_on(None, limit=1)
            if not piece.records:
                continue
            first = _named(piece.records[0].event, source)
            if first == self._firsts.get(source.name):
                continue
            while await feeder.forget_before(source.name, first):
                pass
            self._firsts[source.name] = first
        self._forget_after = now + FORGET_EVERY.total_seconds()

    # ---- before there was a trail

    async def _count_earlier(self, feeder: TrailFeeder) -> None:
        for folder in Folders(self._ports.machines).all:
            name = folder.first.name
            if not await feeder.has_earlier(name):
                await feeder.add_earlier(name, await self._earlier(folder, feeder))

    async def _earlier(self, folder: Folder, feeder: TrailFeeder) -> dict[OrderState, int]:
        names = {machine.name for machine in folder.machines}
        known = await self._known(names)
        for _ in range(_COUNTS):
            before = known
            there = await folder.first.catalogue.count()
            await self._look(feeder)
            known = await self._known(names)
            if known == before:
                break
        return {s: n - known[s] for s, n in there.items() if s in FINAL and n > known[s]}

    async def _known(self, names: set[str]) -> Counter[OrderState]:
        counts: Counter[OrderState] = Counter()
        for (name, state), number in (await self._ports.index.totals()).ended.items():
            if name in names:
                counts[state] += number
        return counts


def _named(event: AuditEvent, source: TrailSource) -> AuditEvent:
    return event if event.machine is not None else evolve(event, machine=source.machine)
