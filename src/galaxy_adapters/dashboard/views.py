"""What the templates are given: plain values, ready to be written down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from galaxy_adapters.dashboard import words
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.insight import LiveOrder, MachineInsight, Overview, Slot
from galaxy_core.domain.operations import OrderView, Progress
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.run import PermissionRequested, QuestionAsked
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder

__all__ = [
    "AuditRow",
    "Lane",
    "OrderRow",
    "RunningOrder",
    "Tile",
    "audit_row",
    "can_retry",
    "lanes",
    "order_row",
    "order_url",
    "running_order",
    "tiles",
    "waits_for",
]

_TAIL = 600
"""Characters of the growing answer that are shown."""
_RETRYABLE = frozenset(
    {OrderState.FAILED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.DEAD}
)


def order_url(order_id: str) -> str:
    """Where an order's page is."""
    return f"/orders/{words.quoted(order_id)}"


def can_retry(state: OrderState) -> bool:
    """Whether it ended without success."""
    return state in _RETRYABLE


@frozen(kw_only=True)
class OrderRow:
    """An order in a list."""

    id: str
    url: str
    title: str
    state: OrderState
    word: str
    machine: str
    conversation: str
    sender: str
    is_urgent: bool
    attempts: int
    received_at: datetime | None
    waits_until: datetime | None
    finished_at: datetime | None
    ran: timedelta | None
    tokens: int | None
    cost_usd: float | None
    reason: str


def order_row(machine: str, view: OrderView) -> OrderRow:
    """Make one."""
    order, ending = view.order, view.ending
    usage = ending.usage if ending else None
    started = ending.started_at if ending else None
    return OrderRow(
        id=order.id,
        url=order_url(order.id),
        title=words.title(order),
        state=view.state,
        word=words.STATES[view.state],
        machine=machine,
        conversation=words.cut(order.conversation(machine), 80),
        sender=words.cut(order.sender, 80),
        is_urgent=order.priority.word in {"high", "urgent"},
        attempts=view.attempts,
        received_at=view.received_at or order.timestamp,
        waits_until=view.waits_until,
        finished_at=ending.finished_at if ending else None,
        ran=ending.finished_at - started if ending and started else None,
        tokens=usage.total_tokens if usage else None,
        cost_usd=usage.cost_usd if usage else None,
        reason=words.cut((ending.reason or "") if ending else "", 200),
    )


def found_rows(found: Iterable[FoundOrder]) -> list[OrderRow]:
    """Many of them."""
    return [order_row(item.machine, item.view) for item in found]


# ---- running


@frozen(kw_only=True)
class RunningOrder:
    """An order that runs, with all that is known of how it gets on."""

    row: OrderRow
    started_at: datetime | None
    tool: str
    note: str
    steps: int
    tokens: int
    cost_usd: float
    done: int
    todos: int
    todo: str
    """The item that is being done."""
    tail: str
    """The end of the answer so far."""
    asks: tuple[str, ...]
    """What it waits for, a sentence each."""


def running_order(item: LiveOrder) -> RunningOrder:
    """Make one."""
    progress = item.progress
    todos = progress.todos if progress else ()
    now_done = next((t.content for t in todos if t.status == "in_progress"), "")
    text = progress.text if progress else ""
    tail = text[-_TAIL:]
    return RunningOrder(
        row=order_row(item.machine, item.view),
        started_at=progress.started_at if progress else None,
        tool=words.cut((progress.tool or "") if progress else "", 160),
        note=words.cut((progress.note or "") if progress else "", 200),
        steps=progress.steps if progress else 0,
        tokens=progress.usage.total_tokens if progress else 0,
        cost_usd=progress.usage.cost_usd if progress else 0.0,
        done=sum(t.status == "completed" for t in todos),
        todos=sum(t.status != "cancelled" for t in todos),
        todo=words.cut(now_done, 160),
        tail="…" + tail if len(text) > _TAIL else tail,
        asks=waits_for(progress),
    )


def waits_for(progress: Progress | None) -> tuple[str, ...]:
    """What a running order asks of people."""
    requests = progress.waiting_for if progress else ()
    return tuple(words.cut(_asked(request), 240) for request in requests)


def _asked(request: PermissionRequested | QuestionAsked) -> str:
    if isinstance(request, PermissionRequested):
        what = request.title or ", ".join(request.patterns)
        return f"May it use {request.permission}? {what}".strip()
    return " ".join(question.text for question in request.questions)


# ---- waiting


@frozen(kw_only=True)
class Lane:
    """Orders of one conversation that wait for each other."""

    machine: str
    conversation: str
    url: str
    rows: tuple[OrderRow, ...]
    more: int
    is_running: bool
    """Whether one of its orders runs now."""


def lanes(live: Sequence[LiveOrder], *, most: int = 12, each: int = 5) -> tuple[list[Lane], int]:
    """The first conversations in which orders wait, and how many more orders wait elsewhere."""
    waiting: dict[tuple[str, str], list[LiveOrder]] = {}
    busy: set[tuple[str, str]] = set()
    for item in live:
        key = (item.machine, str(item.view.order.conversation(item.machine)))
        if item.view.state is OrderState.PENDING:
            waiting.setdefault(key, []).append(item)
        else:
            busy.add(key)
    found = []
    for key in list(waiting)[:most]:
        items = waiting[key]
        query = words.query({"conversation": key[1], "machine": key[0]})
        found.append(
            Lane(
                machine=key[0],
                conversation=words.cut(key[1], 80),
                url=f"/orders?{query}",
                rows=tuple(order_row(i.machine, i.view) for i in items[:each]),
                more=max(0, len(items) - each),
                is_running=key in busy,
            )
        )
    return found, sum(len(waiting[key]) for key in list(waiting)[most:])


# ---- figures


@frozen(kw_only=True)
class Tile:
    """One figure, with what makes sense of it."""

    name: str
    value: str
    more: str = ""
    url: str = ""
    tone: str = ""


def tiles(
    overview: Overview, live: Sequence[LiveOrder], day: Slot, *, unseen: int = 0
) -> tuple[Tile, ...]:
    """The row of figures at the top; `unseen` orders wait that are not in `live`."""
    held = [item for item in live if item.view.state is not OrderState.PENDING]
    asking = sum(bool(item.progress and item.progress.waiting_for) for item in held)
    waiting = len(live) - len(held) + unseen
    ages = [m.oldest_waiting for m in overview.machines if m.oldest_waiting is not None]
    ended = sum(day.ended.values())
    failed = day.ended.get(Outcome.FAILED, 0) + day.ended.get(Outcome.DEAD, 0)
    letters, lost = _letters(overview.machines)
    half = day.run_seconds_p50
    return (
        Tile(
            name="Running",
            value=str(len(held)),
            more=f"{asking} waiting for an answer" if asking else "",
            url="/orders?state=running",
            tone="doubtful" if asking else "",
        ),
        Tile(
            name="Waiting",
            value=f"{waiting:,}",
            more=f"the oldest for {words.span(max(ages))}" if ages else "",
            url="/orders?state=pending",
        ),
        Tile(
            name="Ended, 24 h",
            value=f"{ended:,}",
            more=f"half ran within {words.span(timedelta(seconds=half))}" if half else "",
            url="/orders?state=succeeded",
        ),
        Tile(
            name="Failed, 24 h",
            value=f"{failed:,}",
            more=f"{100 * failed / ended:.0f} % of those that ended" if failed and ended else "",
            url="/orders?state=failed&state=dead",
            tone="unwell" if failed else "",
        ),
        Tile(
            name="Tokens, 24 h",
            value=words.amount(day.tokens),
            more=words.money(day.cost_usd) if day.cost_usd else "",
        ),
        Tile(
            name="Letters waiting",
            value=f"{letters:,}",
            more=f"{lost} reached nobody" if lost else "",
            tone="doubtful" if lost else "",
        ),
    )


def _letters(machines: Sequence[MachineInsight]) -> tuple[int, int]:
    return sum(m.outbox for m in machines), sum(m.undeliverable for m in machines)


# ---- the trail


@frozen(kw_only=True)
class AuditRow:
    """A line of the trail."""

    at: datetime
    kind: str
    what: str
    severity: AuditSeverity
    machine: str
    order_id: str
    url: str
    details: tuple[tuple[str, str], ...]


def audit_row(machine: str, event: AuditEvent) -> AuditRow:
    """Make one."""
    return AuditRow(
        at=event.timestamp,
        kind=event.event_type,
        what=words.event(event.event_type),
        severity=event.severity,
        machine=event.machine or machine,
        order_id=event.order_id or "",
        url=order_url(event.order_id) if event.order_id else "",
        details=details(event.data),
    )


def details(data: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Further members of a line."""
    return tuple(
        (words.cut(str(key).replace("_", " "), 60), words.shown(value))  # type: ignore[arg-type]  # it is JSON
        for key, value in list(data.items())[:20]
        if value is not None and value != ""
    )
