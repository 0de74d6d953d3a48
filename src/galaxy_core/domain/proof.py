"""What a check of completeness finds: which step of which order or message left no trace."""

from __future__ import annotations

import enum

from attrs import frozen


class GapKind(enum.StrEnum):
    """What is missing, or there once too often."""

    MESSAGE_UNEXPLAINED = "message_unexplained"
    """A message was accepted, and no line says what became of it."""
    MESSAGE_ORDERED_TWICE = "message_ordered_twice"
    """One message became two orders."""
    ORDER_LOST = "order_lost"
    """The trail knows the order, and it neither waits, nor runs, nor is it archived."""
    END_UNRECORDED = "end_unrecorded"
    """The order is over, and no line says so."""
    ORDER_ENDED_TWICE = "order_ended_twice"
    ORDER_NOT_ARCHIVED = "order_not_archived"
    """It ended, and is not in the archive."""
    RESPONSE_MISSING = "response_missing"
    LETTER_MISSING = "letter_missing"
    """The answer's letter neither waits, nor was it sent or set aside."""
    RECEIPT_MISSING = "receipt_missing"
    """The letter lies with those that were sent, and nothing in it says who got it."""
    DELIVERY_UNRECORDED = "delivery_unrecorded"
    """The letter was sent or set aside, and no line says so."""
    DELIVERED_TWICE = "delivered_twice"


@frozen(kw_only=True)
class Gap:
    """One fault of completeness."""

    kind: GapKind
    subject: str
    """The order's id, or the message's key."""
    sentence: str
    """For people; names the subject."""
    sequence: int | None = None
    """The line of the trail that speaks of it, where there is one."""


@frozen(kw_only=True)
class Names:
    """Some of many names, and how many there are."""

    count: int = 0
    first: tuple[str, ...] = ()


@frozen(kw_only=True)
class ProofReport:
    """What was looked at, what is missing, and what is simply not over yet."""

    orders: int = 0
    """Orders that ended since there is a trail."""
    messages: int = 0
    """Accepted messages that were looked for in the trail."""
    older: int = 0
    """Orders that ended before there was a trail: nothing can be said of them."""
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    """How many there are; `gaps` names the first thousand."""
    waiting_orders: Names = Names()
    """Orders that wait or run."""
    waiting_letters: Names = Names()
    """Orders that are answered, and whose letter waits for a channel or a person."""
    undeliverable: Names = Names()
    """Orders whose letter nobody could get; the trail has the reason."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing; what waits is no fault."""
        return self.gap_count == 0
