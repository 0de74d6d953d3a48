"""One order's way, as steps for the page: what happened when, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from galaxy_adapters.dashboard import words
from galaxy_adapters.dashboard.views import details
from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.insight import Timeline

__all__ = ["Stage", "Step", "stages", "steps"]

_TONES: Mapping[str, str] = {
    AuditType.ORDER_EXECUTED_SUCCESS: "succeeded",
    AuditType.LETTER_DELIVERED: "succeeded",
    AuditType.ORDER_EXECUTED_FAILURE: "failed",
    AuditType.ORDER_DEAD_LETTERED: "failed",
    AuditType.LETTER_UNDELIVERABLE: "failed",
    AuditType.ORDER_REFUSED: "failed",
    AuditType.ORDER_EXECUTION_STARTED: "running",
    AuditType.ORDER_EXECUTION_RESUMED: "running",
    AuditType.PERMISSION_REQUESTED: "doubtful",
    AuditType.QUESTION_ASKED: "doubtful",
    AuditType.ORDER_GIVEN_BACK: "doubtful",
    AuditType.ORDER_TAKEN_OVER: "doubtful",
    AuditType.LEASE_LOST: "doubtful",
    AuditType.DELIVERY_UNKNOWN: "doubtful",
}
_LOUD = frozenset({AuditSeverity.ERROR, AuditSeverity.CRITICAL})


@frozen(kw_only=True)
class Step:
    """One thing that happened."""

    at: datetime
    what: str
    kind: str
    tone: str
    after: str
    """Since the step before."""
    machine: str
    details: tuple[tuple[str, str], ...]
    attempt: int | None
    """Where a new attempt begins."""


@frozen(kw_only=True)
class Stage:
    """A piece of the whole time."""

    css: str
    word: str
    length: timedelta
    begin: float
    """Per cent of the whole."""
    width: float


def steps(timeline: Timeline) -> tuple[Step, ...]:
    """What the trail says, oldest first."""
    found = []
    before: datetime | None = None
    # Hermes may be quicker than the gateway's own line about what it handed in.
    for event in sorted(timeline.events, key=lambda e: e.event_type != AuditType.ORDER_SUBMITTED):
        found.append(_step(event, before, timeline.machine))
        before = event.timestamp
    return tuple(found)


def _step(event: AuditEvent, before: datetime | None, machine: str) -> Step:
    tone = _TONES.get(event.event_type, "")
    if not tone and event.severity in _LOUD:
        tone = "failed"
    attempt = event.data.get("attempt")
    is_claim = event.event_type == AuditType.ORDER_CLAIMED
    return Step(
        at=event.timestamp,
        what=_what(event),
        kind=event.event_type,
        tone=tone,
        after="" if before is None else words.span(event.timestamp - before),
        machine="" if event.machine in {None, machine} else str(event.machine),
        details=details(event.data),
        attempt=attempt if is_claim and isinstance(attempt, int) else None,
    )


def _is_answer(event: AuditEvent) -> bool:
    """Whether this is about the order's answer; questions and notices are letters too."""
    return event.data.get("letter") in {None, f"hermes-{event.order_id}"}


def _what(event: AuditEvent) -> str:
    if event.event_type == AuditType.LETTER_DELIVERED and not _is_answer(event):
        is_question = str(event.data["letter"]).startswith("ask-")
        return "The question was delivered" if is_question else "A notice was delivered"
    return words.event(event.event_type)


def stages(timeline: Timeline, now: datetime) -> tuple[Stage, ...]:
    """How long it waited, ran, and took to be delivered; empty when that is not known."""
    view, ending = timeline.view, timeline.view.ending
    received = view.received_at or view.order.timestamp
    started = ending.started_at if ending else None
    if started is None:
        started = _first(timeline.events, AuditType.ORDER_EXECUTION_STARTED)
    finished = ending.finished_at if ending else None
    answers = [event for event in timeline.events if _is_answer(event)]
    delivered = _first(answers, AuditType.LETTER_DELIVERED)
    marks: list[tuple[str, str, datetime | None, datetime | None]] = [
        ("waited", "waited", received, started or finished or now),
        ("ran", "ran", started, finished or now),
        ("delivery", "to delivery", finished, delivered),
    ]
    known = [
        (css, word, max(end - begin, timedelta(0)))
        for css, word, begin, end in marks
        if begin is not None and end is not None
    ]
    whole = sum((length for _, _, length in known), timedelta(0))
    if not whole:
        return ()
    found, begin = [], 0.0
    for css, word, length in known:
        width = 100 * (length / whole)
        found.append(Stage(css=css, word=word, length=length, begin=begin, width=width))
        begin += width
    return tuple(found)


def _first(events: Sequence[AuditEvent], kind: AuditType) -> datetime | None:
    return next((event.timestamp for event in events if event.event_type == kind), None)
