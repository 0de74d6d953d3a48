"""The first page: is everything well, and if not, what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from attrs import define, field

from galaxy_adapters._web import Pages, safe
from galaxy_adapters.dashboard import words
from galaxy_adapters.dashboard.board import Board, Piece
from galaxy_adapters.dashboard.charts import RANGES, Range, charts
from galaxy_adapters.dashboard.views import (
    audit_row,
    found_rows,
    lanes,
    running_order,
    tiles,
)
from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.insight import LiveOrder, Overview, Slot
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.ports.front_desk import FoundOrder, FrontDesk, Insight, Records

__all__ = ["OverviewPage"]

SLOWER = 5
"""What changes seldom, or costs more, is looked at so many times less often."""
DAY = timedelta(days=1)
_LOOKED_AT = (40, 200, 1000)
"""So many of the orders that were given up are looked at for those that wait for a decision; more
of them where most have been decided on."""
_RUNNING, _RECENT, _DEAD, _ALERTS, _SESSIONS, _LOG = 12, 8, 10, 6, 8, 20

FAST_PIECES = ("health", "figures", "running", "queue", "machines")
SLOW_PIECES = ("charts", "recent", "dead", "alerts", "sessions", "log")


@define(eq=False)
class OverviewPage:
    """Renders its pieces."""

    _desk: FrontDesk
    _insight: Insight
    _records: Records
    _pages: Pages
    _now: Callable[[], datetime]
    _look_every: timedelta
    _board: Board = field(factory=Board, init=False)

    async def pieces(self, stretch: Range) -> Sequence[Piece]:
        """All pieces of the page, at most a few seconds old."""
        fast = await self._board.get("fast", self._look_every, self._fast)
        slow = await self._board.get(
            stretch.name, SLOWER * self._look_every, lambda: self._slow(stretch)
        )
        return [*fast, *slow]

    def forget(self) -> None:
        """Look anew: something was done."""
        self._board.forget()

    def _pieces(self, names: Sequence[str], **context: object) -> list[Piece]:
        context |= {"w": words, "now": self._now()}
        template = "dashboard/pieces/{}.html"
        return [
            Piece.of(name, self._pages.text(template.format(name), **context)) for name in names
        ]

    async def _fast(self) -> Sequence[Piece]:
        overview = await self._insight.overview()
        live = await self._insight.live()
        now = self._now()
        (day,) = (*await self._insight.slots(now - DAY, DAY), Slot(begins=now - DAY))[:1]
        held = [item for item in live if item.view.state is not OrderState.PENDING]
        waiting, more_waiting = lanes(live)
        unseen = _unseen(overview, live)
        return self._pieces(
            FAST_PIECES,
            overview=overview,
            tiles=tiles(overview, live, day, unseen=unseen),
            running=[running_order(item) for item in held[:_RUNNING]],
            more_running=max(0, len(held) - _RUNNING),
            lanes=waiting,
            more_waiting=more_waiting,
            unseen=unseen,
        )

    async def _slow(self, stretch: Range) -> Sequence[Piece]:
        now = self._now()
        slots = await self._insight.slots(stretch.begin(now), stretch.width)
        dead = await self._undecided()
        recent = await self._desk.list(states=FINAL, limit=_RECENT)
        sessions = await self._records.sessions()
        alerts = []
        for severity in (AuditSeverity.CRITICAL, AuditSeverity.ERROR):
            page = await self._records.audit(severity=severity, since=now - DAY, limit=_ALERTS)
            alerts += [audit_row(*item) for item in page.events]
        alerts.sort(key=lambda row: row.at, reverse=True)
        return self._pieces(
            SLOW_PIECES,
            stretch=stretch,
            ranges=list(RANGES.values()),
            charts=[(chart, safe(chart.svg)) for chart in charts(slots, stretch)],
            dead=found_rows(dead[:_DEAD]),
            has_more_dead=len(dead) > _DEAD,
            recent=found_rows(recent),
            sessions=sessions[:_SESSIONS],
            more_sessions=max(0, len(sessions) - _SESSIONS),
            alerts=alerts[:_ALERTS],
            log=await self._records.health_log(_LOG),
        )

    async def _undecided(self) -> list[FoundOrder]:
        """The newest orders that wait for a decision, and one more than are shown if there is."""
        dead: list[FoundOrder] = []
        for limit in _LOOKED_AT:
            given_up = await self._desk.list(states=frozenset({OrderState.DEAD}), limit=limit)
            dead = [found for found in given_up if not found.view.is_decided]
            if len(dead) > _DEAD or len(given_up) < limit:
                break
        return dead


def _unseen(overview: Overview, live: Sequence[LiveOrder]) -> int:
    """Orders that wait behind those that are listed, where not all are."""
    if all(item.is_fresh for item in live):
        return 0
    number = sum(machine.counts.get(OrderState.PENDING, 0) for machine in overview.machines)
    return max(0, number - sum(item.view.state is OrderState.PENDING for item in live))
