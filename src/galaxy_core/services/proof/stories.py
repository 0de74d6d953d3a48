"""What the trail says about single orders, as far as completeness goes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditRecord, AuditType
from galaxy_core.domain.ids import OrderId, safe_order_id

_ENDS = frozenset(
    {
        AuditType.ORDER_EXECUTED_SUCCESS.value,
        AuditType.ORDER_EXECUTED_FAILURE.value,
        AuditType.ORDER_CANCELLED.value,
        AuditType.ORDER_EXPIRED.value,
        AuditType.ORDER_DEAD_LETTERED.value,
    }
)
_BEGINNINGS = frozenset(
    {
        AuditType.ORDER_SUBMITTED.value,
        AuditType.ORDER_RECEIVED.value,
        AuditType.ORDER_CLAIMED.value,
        AuditType.ORDER_EXECUTION_STARTED.value,
    }
)


def letter_of(order_id: str) -> str:
    """Under which name the outbox has the answer to an order."""
    return safe_order_id(f"hermes-{order_id}")


@define(eq=False)
class Story:
    """One order's way; numbers are those of lines, None where there is none."""

    line: int | None = None
    """The first that speaks of it."""
    end: int | None = None
    second_end: int | None = None
    """Another line about the end, which does not say that it is a repetition."""
    ended_at: datetime | None = None
    delivery: int | None = None
    second_delivery: int | None = None
    is_returned: bool = False
    """Whether a line says that nobody could get the answer."""
    is_archived: bool = False
    is_answered: bool = False


@define
class Stories:
    """Those of one share of the orders."""

    found: dict[str, Story] = field(factory=dict)
    started_at: datetime | None = None
    """Time of the trail's first line."""
    cleaned: dict[str, list[tuple[int, datetime]]] = field(factory=dict)
    """By kind of file: up to which line and moment what ended was tidied away.  Only what a later
    removal does not include: numbers go up, moments down."""

    def of(self, order_id: str) -> Story:
        """The order's story, begun now if it is new."""
        story = self.found.get(order_id)
        if story is None:
            story = self.found[order_id] = Story()
        return story

    def note_start(self, event: AuditEvent) -> None:
        """The trail's first line."""
        if self.started_at is None:
            self.started_at = event.timestamp

    def note_cleaning(self, record: AuditRecord) -> None:
        """A person, or a daemon that keeps house, had old files removed."""
        data, number = record.event.data, record.sequence
        kind, before = data.get("kind"), data.get("before")
        if not isinstance(kind, str) or not isinstance(before, str) or number is None:
            return
        try:
            moment = datetime.fromisoformat(before)
        except ValueError:
            return
        if moment.tzinfo is not None:
            known = self.cleaned.setdefault(kind, [])
            while known and known[-1][1] <= moment:
                known.pop()
            known.append((number, moment))

    def is_cleaned(self, kind: str, story: Story) -> bool:
        """Whether a file of an order that ended may have been tidied away since.

        The time alone does not tell: a removal while the clock was a year ahead would explain
        everything that is lost within that year.
        """
        end, at = story.end, story.ended_at
        if end is None or at is None:
            return False
        return any(end < number and at < moment for number, moment in self.cleaned.get(kind, ()))

    def note(self, record: AuditRecord) -> None:
        """Take in a line about an order."""
        event, number = record.event, record.sequence
        order_id = event.order_id
        if order_id is None:
            return
        kind, is_repeated = event.event_type, bool(event.data.get("is_repeated"))
        if kind in _BEGINNINGS or kind in _ENDS:
            self._begin_anew(order_id)
        if kind in _ENDS:
            story = self.of(order_id)
            story.line = story.line or number
            if story.end is None:
                story.end, story.ended_at = number, event.timestamp
            elif not is_repeated:
                story.second_end = number
        elif kind in _BEGINNINGS:
            story = self.of(order_id)
            story.line = story.line or number
        elif event.data.get("letter") == letter_of(order_id):
            self._note_letter(self.of(order_id), kind, number, is_repeated=is_repeated)

    def _begin_anew(self, order_id: str) -> None:
        """The id of an order that was tidied away is free: the next one of that name is another."""
        story = self.found.get(order_id)
        if story is not None and self.is_cleaned("orders", story):
            self.found[order_id] = Story(
                is_archived=story.is_archived, is_answered=story.is_answered
            )

    def _note_letter(
        self, story: Story, kind: str, number: int | None, *, is_repeated: bool
    ) -> None:
        if kind == AuditType.LETTER_DELIVERED:
            if story.delivery is None:
                story.delivery = number
            elif not is_repeated:
                story.second_delivery = number
        elif kind == AuditType.LETTER_UNDELIVERABLE:
            story.is_returned = True

    def items(self) -> Iterator[tuple[OrderId, Story]]:
        """All of them."""
        return ((OrderId(order_id), story) for order_id, story in self.found.items())
