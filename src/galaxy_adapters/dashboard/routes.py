"""The pages' addresses, what they are asked with, and what people do there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from attrs import define, field
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from galaxy_adapters._web import Pages, Problem, safe, visitor_of
from galaxy_adapters._web.streams import DrawnEvents
from galaxy_adapters.dashboard import words
from galaxy_adapters.dashboard.board import LOOK_EVERY, Piece, watch
from galaxy_adapters.dashboard.charts import RANGES, Range
from galaxy_adapters.dashboard.order import OrderPage
from galaxy_adapters.dashboard.overview import OverviewPage
from galaxy_adapters.dashboard.views import audit_row, found_rows, order_url
from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.errors import MachineNotFound, OrderNotFound
from galaxy_core.domain.ids import ConversationKey, OrderId, why_not_an_order_id
from galaxy_core.domain.operations import Cancellation
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder, FrontDesk, Insight, Records
from galaxy_core.wire.times import HOW_TO_WRITE_TIMES, read_time

__all__ = ["routes"]

E = TypeVar("E", OrderState, AuditSeverity)

_SAID: Mapping[str, str] = {
    Cancellation.ENDED: "The order is cancelled.",
    Cancellation.REQUESTED: "The order is being stopped; that takes a moment.",
    Cancellation.ALREADY_ENDED: "There was nothing left to cancel: the order had ended.",
    "retried": "This is the new order; the old one stays as it was.",
    "reset": "The session is forgotten: the conversation's next order begins a new one.",
    "no-session": "That conversation has no session any more.",
}
"""What a page says after a deed.  The address names the sentence; it never brings one along."""
_LISTS = (50, 200, 500)
_AUDIT_PAGE = 100
_LONGEST_WORD = 1_000


def _utc_now() -> datetime:
    return datetime.now(UTC)


def routes(  # noqa: PLR0913 - three ports, and what pages are made of
    front_desk: FrontDesk,
    insight: Insight,
    records: Records,
    *,
    pages: Pages,
    version: str,
    now: Callable[[], datetime] = _utc_now,
    look_every: timedelta = LOOK_EVERY,
) -> list[BaseRoute]:
    """The dashboard.  `pages` is the site's, made with this package's folder.

    `look_every`: how often a page is looked at anew while somebody has it open.
    """
    own = _Dashboard(front_desk, insight, records, pages, now, version, look_every)
    return [
        Route("/", own.overview, methods=["GET"]),
        Route("/events", own.events, methods=["GET"]),
        Route("/orders", own.orders, methods=["GET"]),
        Route("/orders/{order_id}", own.order, methods=["GET"]),
        Route("/orders/{order_id}/cancel", own.cancel, methods=["POST"]),
        Route("/orders/{order_id}/retry", own.retry, methods=["POST"]),
        Route("/sessions/{conversation:path}/reset", own.reset, methods=["POST"]),
        Route("/audit", own.audit, methods=["GET"]),
    ]


@define(eq=False)
class _Dashboard:
    _desk: FrontDesk
    _insight: Insight
    _records: Records
    _pages: Pages
    _now: Callable[[], datetime]
    _version: str
    _look_every: timedelta
    _overview: OverviewPage = field(init=False)
    _order: OrderPage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._overview = OverviewPage(
            self._desk, self._insight, self._records, self._pages, self._now, self._look_every
        )
        self._order = OrderPage(self._insight, self._pages, self._now, self._look_every)

    def _page(self, request: Request, template: str, **context: object) -> Response:
        shell: dict[str, Any] = {
            "w": words,
            "now": self._now(),
            "version": self._version,
            "said": _SAID.get(request.query_params.get("said", ""), ""),
            "fault": "",
            "events": "",
        }
        return self._pages.render(request, f"dashboard/{template}", **(shell | context))

    # ---- pages that change

    async def overview(self, request: Request) -> Response:
        stretch = _stretch(request)
        pieces = await self._overview.pieces(stretch)
        events = f"/events?range={stretch.name}"
        return self._page(request, "overview.html", pieces=_by_name(pieces), events=events)

    async def order(self, request: Request) -> Response:
        order_id = _order_id(request.path_params["order_id"])
        pieces = await self._order.pieces(order_id)
        found = await self._desk.get(order_id)
        return self._page(
            request,
            "order.html",
            pieces=_by_name(pieces),
            heading=words.title(found.view.order),
            events=f"/events?{words.query({'order': order_id})}",
        )

    async def events(self, request: Request) -> Response:
        """The one stream: pieces of whichever page asks, as they change."""
        if "order" in request.query_params:
            order_id = _order_id(request.query_params["order"])
            await self._order.pieces(order_id)  # an order that is not there is no stream
            return DrawnEvents(watch(lambda: self._order.pieces(order_id), self._look_every))
        stretch = _stretch(request)
        await self._overview.pieces(stretch)
        return DrawnEvents(watch(lambda: self._overview.pieces(stretch), self._look_every))

    # ---- lists

    async def orders(self, request: Request) -> Response:
        asked = _Asked(request)
        states = asked.choices("state", OrderState)
        machine, conversation = asked.word("machine"), asked.word("conversation")
        limit = asked.one_of("limit", _LISTS)
        overview = await self._insight.overview()
        found: Sequence[FoundOrder] = ()
        try:
            found = await self._desk.list(
                machine=machine or None,
                states=states or None,
                conversation=ConversationKey(conversation) if conversation else None,
                limit=limit + 1,
            )
        except MachineNotFound as error:
            asked.faults.append(str(error))
        more = next((n for n in _LISTS if n > limit), None) if len(found) > limit else None
        return self._page(
            request,
            "orders.html",
            rows=found_rows(found[:limit]),
            states=[(s.value, words.STATES[s], s in states) for s in OrderState],
            machines=[m.name for m in overview.machines],
            machine=machine,
            conversation=conversation,
            fault=" ".join(asked.faults),
            has_more=len(found) > limit,
            more_url=asked.url_with("limit", str(more)) if more else "",
        )

    async def audit(self, request: Request) -> Response:
        asked = _Asked(request)
        text, kind = asked.word("text"), asked.word("event_type")
        severities = asked.choices("severity", AuditSeverity)
        machine, since = asked.word("machine"), asked.time("since")
        page = await self._records.audit(
            text=text,
            event_type=kind or None,
            severity=next(iter(severities), None),
            machine=machine or None,
            since=since,
            cursor=asked.word("cursor") or None,
            limit=_AUDIT_PAGE,
        )
        overview = await self._insight.overview()
        return self._page(
            request,
            "audit.html",
            rows=[audit_row(*item) for item in page.events],
            text=text,
            kind=kind,
            kinds=[member.value for member in AuditType],
            severity=next((s.value for s in severities), ""),
            severities=[member.value for member in AuditSeverity],
            machines=[m.name for m in overview.machines],
            machine=machine,
            since=asked.raw("since"),
            fault=" ".join(asked.faults),
            more_url=asked.url_with("cursor", page.cursor) if page.cursor else "",
            is_first=not asked.raw("cursor"),
            first_url=asked.url_with("cursor", ""),
        )

    # ---- deeds

    async def cancel(self, request: Request) -> Response:
        order_id = _order_id(request.path_params["order_id"])
        result = await self._desk.cancel(order_id, by=_by(request))
        self._order.forget(order_id)
        return _see(order_url(order_id), result.value)

    async def retry(self, request: Request) -> Response:
        order_id = _order_id(request.path_params["order_id"])
        new_id = await self._desk.retry(order_id, by=_by(request))
        self._order.forget(order_id)
        return _see(order_url(new_id), "retried")

    async def reset(self, request: Request) -> Response:
        conversation = ConversationKey(request.path_params["conversation"])
        machine = request.query_params.get("machine") or None
        was_there = await self._desk.reset_session(conversation, machine=machine)
        self._overview.forget()
        return _see("/", "reset" if was_there else "no-session")


@define
class _Asked:
    """What a list is asked with.

    A wrong word is told on the page, beside the form in which it can be put right.
    """

    _request: Request
    faults: list[str] = field(factory=list, init=False)

    def raw(self, name: str) -> str:
        return self._request.query_params.get(name, "")[:_LONGEST_WORD]

    def word(self, name: str) -> str:
        return self.raw(name).strip()

    def choices(self, name: str, kind: type[E]) -> frozenset[E]:
        found = set()
        for text in self._request.query_params.getlist(name):
            try:
                found |= {kind(text)} if text else set()
            except ValueError:
                self.faults.append(f"There is no {name} “{words.cut(text, 40)}”.")
        return frozenset(found)

    def one_of(self, name: str, numbers: Sequence[int]) -> int:
        text = self.raw(name)
        return next((n for n in numbers if str(n) == text), numbers[0])

    def time(self, name: str) -> datetime | None:
        try:
            return read_time(self.word(name))
        except ValueError:
            self.faults.append(f"That is no time: {HOW_TO_WRITE_TIMES}.")
            return None

    def url_with(self, name: str, value: str) -> str:
        pairs = [(k, v) for k, v in self._request.query_params.multi_items() if k != name and v]
        query = words.query([*pairs, (name, value)] if value else pairs)
        return f"{self._request.url.path}?{query}" if query else self._request.url.path


def _stretch(request: Request) -> Range:
    return RANGES.get(request.query_params.get("range", ""), RANGES["day"])


def _order_id(text: str) -> OrderId:
    # What can be no id is asked of no store.
    if why_not_an_order_id(text) is not None:
        raise OrderNotFound("There is no order with this id.")
    return OrderId(text)


def _by_name(pieces: Sequence[Piece]) -> dict[str, object]:
    return {piece.name: safe(piece.html) for piece in pieces}


def _by(request: Request) -> str:
    person = visitor_of(request).person
    if not person:
        raise Problem(403, "Say who you are: open the address that `galaxy up` printed.")
    return f"web:{person}"


def _see(path: str, said: str) -> Response:
    return RedirectResponse(f"{path}?said={said}", 303)
