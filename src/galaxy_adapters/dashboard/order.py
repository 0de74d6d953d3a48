"""The page of one order: from its receipt to the delivery of its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from attrs import define, field, frozen

from galaxy_adapters._web import Pages, render, safe, visible
from galaxy_adapters.dashboard import words
from galaxy_adapters.dashboard.board import Board, Piece
from galaxy_adapters.dashboard.timeline import stages, steps
from galaxy_adapters.dashboard.views import can_retry, order_row, order_url, running_order
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import LiveOrder, Timeline
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import Insight

__all__ = ["PIECES", "OrderPage"]

PIECES = ("order", "progress", "response", "timeline")
MOST_TEXT = 20_000
"""Characters of a payload that are shown; all of it is at the API."""
MOST_RESPONSE = 200_000


@frozen(kw_only=True)
class Fact:
    """A line of what is known about the order."""

    name: str
    value: str
    at: datetime | None = None
    url: str = ""


@define(eq=False)
class OrderPage:
    """Renders the pieces of any order's page."""

    _insight: Insight
    _pages: Pages
    _now: Callable[[], datetime]
    _look_every: timedelta
    _board: Board = field(factory=Board, init=False)

    async def pieces(self, order_id: OrderId) -> Sequence[Piece]:
        """All of them.  Raises `OrderNotFound`."""
        return await self._board.get(order_id, self._look_every, lambda: self._render(order_id))

    def forget(self, order_id: OrderId) -> None:
        """Look anew: something was done to it."""
        self._board.forget(order_id)

    async def _render(self, order_id: OrderId) -> Sequence[Piece]:
        timeline = await self._insight.timeline(order_id)
        view, order, now = timeline.view, timeline.view.order, self._now()
        response = timeline.response
        item = LiveOrder(machine=timeline.machine, view=view, progress=timeline.progress)
        context: dict[str, object] = {
            "w": words,
            "now": now,
            "row": order_row(timeline.machine, view),
            "view": view,
            "order": order,
            "ending": view.ending,
            "facts": _facts(timeline),
            "payload": order.payload[:MOST_TEXT],
            "more_payload": max(0, len(order.payload) - MOST_TEXT),
            "media": [words.cut(m.name or m.path or m.url or "", 200) for m in order.media],
            "files": [words.cut(path, 300) for path in timeline.files],
            "api_url": f"/api{order_url(order.id)}",
            "can_cancel": not view.state.is_final,
            "can_retry": can_retry(view.state),
            "is_dead": view.state is OrderState.DEAD,
            "run": running_order(item),
            "is_live": not view.state.is_final,
            "progress": timeline.progress,
            "response": response,
            "answer": safe(await render(visible(response.text[:MOST_RESPONSE])))
            if response
            else "",
            "more_answer": max(0, len(response.text) - MOST_RESPONSE) if response else 0,
            "steps": steps(timeline),
            "stages": stages(timeline, now),
        }
        template = "dashboard/pieces/{}.html"
        return [
            Piece.of(name, self._pages.text(template.format(name), **context)) for name in PIECES
        ]


def _facts(timeline: Timeline) -> list[Fact]:
    view, order, ending = timeline.view, timeline.view.order, timeline.view.ending
    usage = ending.usage if ending else None
    found = [
        Fact(name="Machine", value=timeline.machine),
        Fact(
            name="Conversation",
            value=words.cut(order.conversation(timeline.machine), 200),
        ),
        Fact(name="From", value=words.cut(order.sender, 200)),
        Fact(name="Channel", value=" ".join(filter(None, (order.channel, order.chat_id)))),
        Fact(name="Priority", value="" if order.priority.word == "normal" else order.priority.word),
        Fact(name="Project", value=order.project or ""),
        Fact(name="Command", value="" if order.command == "general" else order.command),
        Fact(name="Agent", value=order.agent or ""),
        Fact(name="Model", value=order.model or ""),
        *_times(view),
        Fact(name="Attempts", value=str(view.attempts) if view.attempts > 1 else ""),
        Fact(name="Place in its conversation", value=str(view.place) if view.place else ""),
        Fact(name="Time limit", value=words.span(order.timeout) if order.timeout else ""),
        Fact(name="Session", value=(ending.session_id or "") if ending else ""),
        Fact(name="Tokens", value=f"{usage.total_tokens:,}" if usage else ""),
        Fact(name="Cost", value=words.money(usage.cost_usd) if usage else ""),
        *(Fact(name="After", value=each, url=order_url(each)) for each in order.after[:20]),
    ]
    return [fact for fact in found if fact.value or fact.at]


def _times(view: OrderView) -> list[Fact]:
    order, ending = view.order, view.ending
    times = [
        ("Written", order.timestamp),
        ("Received", view.received_at),
        ("Not before", view.waits_until or order.not_before),
        ("Expires", order.expires_at),
        ("Began", ending.started_at if ending else None),
        ("Ended", ending.finished_at if ending else None),
    ]
    return [Fact(name=name, value="", at=at) for name, at in times if at is not None]
