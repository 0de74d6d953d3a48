"""An index of trails, kept in memory: it looks at every line each time it is asked."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta

from attrs import define, field

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import AuditPage, Slot
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.trail_facts import (
    DELIVERY_BOUNDS,
    RUN_BOUNDS,
    AnswerDelivered,
    OrderEnded,
    bucket,
    fact_of,
    histogram,
    rank,
)
from galaxy_core.ports.trail_index import AuditSearch, TrailFeeder, TrailIndex, TrailTotals
from galaxy_core.testing.faults import Faults


@define(eq=False)
class IndexBox:
    """What the index knows: what outlives every process that opens it."""

    lines: list[tuple[str, AuditEvent]] = field(factory=list)
    """With the trail, in the order in which they were added."""
    marks: dict[str, str] = field(factory=dict)
    earlier: dict[str, dict[OrderState, int]] = field(factory=dict)
    forgotten: set[int] = field(factory=set)
    """Places among the lines of those that are only counted."""
    is_fed: bool = False
    """Whether somebody feeds it now."""

    def ended(self) -> dict[tuple[str, str], OrderEnded]:
        """The end of every order, by trail and id; the first line about it counts."""
        found: dict[tuple[str, str], OrderEnded] = {}
        for trail, event in self.lines:
            fact = fact_of(event)
            if isinstance(fact, OrderEnded):
                found.setdefault((trail, fact.order_id), fact)
        return found

    def delivered(self) -> dict[tuple[str, str], datetime]:
        """When the answers were delivered."""
        found: dict[tuple[str, str], datetime] = {}
        for trail, event in self.lines:
            fact = fact_of(event)
            if isinstance(fact, AnswerDelivered):
                found.setdefault((trail, fact.order_id), fact.at)
        return found

    def newest_first(self) -> list[tuple[datetime, int, AuditEvent]]:
        """Lines with what they are sorted by."""
        numbered = (
            (event.timestamp, number, event)
            for number, (_, event) in enumerate(self.lines)
            if number not in self.forgotten
        )
        return sorted(numbered, key=lambda item: item[:2], reverse=True)


@define(eq=False)
class MemoryTrailFeeder(TrailFeeder):
    """The right to add to a box."""

    box: IndexBox
    faults: Faults

    async def marks(self) -> Mapping[str, str]:
        async with self.faults.around("index.marks", is_write=False):
            return dict(self.box.marks)

    async def add(self, trail: str, events: Sequence[AuditEvent], mark: str) -> None:
        async with self.faults.around("index.add"):
            self.box.lines += [(trail, event) for event in events]
            self.box.marks[trail] = mark

    async def add_earlier(self, machine: str, ended: Mapping[OrderState, int]) -> None:
        async with self.faults.around("index.add_earlier"):
            self.box.earlier[machine] = dict(ended)

    async def has_earlier(self, machine: str) -> bool:
        async with self.faults.around("index.has_earlier", is_write=False):
            return machine in self.box.earlier

    async def forget_before(self, trail: str, first: AuditEvent) -> int:
        async with self.faults.around("index.forget_before"):
            lines, known = self.box.lines, (trail, first)
            end = lines.index(known) if known in lines else 0
            going = {n for n in range(end) if lines[n][0] == trail} - self.box.forgotten
            self.box.forgotten |= going
            return len(going)

    async def begin_anew(self) -> None:
        async with self.faults.around("index.begin_anew"):
            self.box.lines.clear()
            self.box.forgotten.clear()
            self.box.marks.clear()
            self.box.earlier.clear()


@define(eq=False)
class MemoryTrailIndex(TrailIndex):
    """One process's view of an index; operations are named `index.<method>`."""

    box: IndexBox = field(factory=IndexBox)
    faults: Faults = field(factory=Faults, kw_only=True)

    def feeder(self) -> AbstractAsyncContextManager[TrailFeeder | None]:
        return self._feeding()

    @asynccontextmanager
    async def _feeding(self) -> AsyncIterator[TrailFeeder | None]:
        if self.box.is_fed:
            yield None
            return
        self.box.is_fed = True
        try:
            yield MemoryTrailFeeder(self.box, self.faults)
        finally:
            self.box.is_fed = False

    async def totals(self) -> TrailTotals:
        async with self.faults.around("index.totals", is_write=False):
            ended, delivered = self.box.ended(), self.box.delivered()
            runs = [e.run_seconds for e in ended.values() if e.run_seconds is not None]
            waits = [
                max(0.0, (at - ended[key].at).total_seconds())
                for key, at in delivered.items()
                if key in ended
            ]
            return TrailTotals(
                ended=dict(Counter((e.machine, e.outcome.state) for e in ended.values())),
                earlier={
                    (machine, state): number
                    for machine, counts in self.box.earlier.items()
                    for state, number in counts.items()
                },
                events=dict(Counter(event.event_type for _, event in self.box.lines)),
                run_seconds=histogram(
                    RUN_BOUNDS, Counter(bucket(RUN_BOUNDS, s) for s in runs), sum(runs)
                ),
                delivery_seconds=histogram(
                    DELIVERY_BOUNDS, Counter(bucket(DELIVERY_BOUNDS, s) for s in waits), sum(waits)
                ),
            )

    async def of_order(self, order_id: OrderId) -> Sequence[AuditEvent]:
        async with self.faults.around("index.of_order", is_write=False):
            newest_first = self.box.newest_first()
            return [e for _, _, e in reversed(newest_first) if e.order_id == order_id]

    async def ended(
        self,
        *,
        machines: frozenset[str] | None = None,
        states: frozenset[OrderState] | None = None,
        limit: int = 50,
        skip: int = 0,
    ) -> Sequence[OrderId]:
        async with self.faults.around("index.ended", is_write=False):
            wanted = [
                fact
                for fact in self.box.ended().values()
                if (machines is None or fact.machine in machines)
                and (states is None or fact.outcome.state in states)
            ]
            wanted.sort(key=lambda fact: (fact.at, fact.order_id), reverse=True)
            return [OrderId(fact.order_id) for fact in wanted[skip : skip + limit]]

    async def search(
        self, wanted: AuditSearch, *, cursor: str | None = None, limit: int = 100
    ) -> AuditPage:
        async with self.faults.around("index.search", is_write=False):
            begin = int(cursor) if cursor is not None and cursor.isdecimal() else 0
            found = [event for _, _, event in self.box.newest_first() if _matches(event, wanted)]
            page = tuple((event.machine or "", event) for event in found[begin : begin + limit])
            is_last = begin + limit >= len(found)
            return AuditPage(events=page, cursor=None if is_last else str(begin + limit))

    async def slots(self, since: datetime, width: timedelta, number: int) -> Sequence[Slot]:
        async with self.faults.around("index.slots", is_write=False):
            facts = list(self.box.ended().values())
            return [_slot(facts, since + width * place, width) for place in range(number)]


def _matches(event: AuditEvent, wanted: AuditSearch) -> bool:
    data = json.dumps(dict(event.data), ensure_ascii=False, default=str)
    words = (event.event_type, event.order_id or "", event.machine or "", data)
    return (
        (wanted.event_type is None or event.event_type == wanted.event_type)
        and (wanted.severity is None or event.severity is wanted.severity)
        and (wanted.machine is None or event.machine == wanted.machine)
        and (wanted.since is None or event.timestamp >= wanted.since)
        and any(wanted.text.casefold() in word.casefold() for word in words)
    )


def _slot(facts: Sequence[OrderEnded], begins: datetime, width: timedelta) -> Slot:
    inside = [fact for fact in facts if begins <= fact.at < begins + width]
    runs = sorted(fact.run_seconds for fact in inside if fact.run_seconds is not None)
    return Slot(
        begins=begins,
        ended=dict(Counter(fact.outcome for fact in inside)),
        run_seconds_p50=runs[rank(len(runs), 50) - 1] if runs else None,
        run_seconds_p95=runs[rank(len(runs), 95) - 1] if runs else None,
        tokens=sum(fact.tokens for fact in inside),
        cost_usd=sum(fact.cost_usd for fact in inside),
    )
