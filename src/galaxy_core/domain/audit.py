"""Lines of the audit trail, before they are chained and written.

The four names of the original system keep their meaning; severities are the trail's own.
"""

from __future__ import annotations

import enum
from datetime import datetime

from attrs import field, frozen

from galaxy_core.domain.incident import IncidentSeverity as AuditSeverity
from galaxy_core.domain.order import EMPTY, JSONObject

__all__ = [
    "AuditEvent",
    "AuditQuery",
    "AuditRecord",
    "AuditSeverity",
    "AuditType",
    "ChainReport",
    "TrailPiece",
]


class AuditType(enum.StrEnum):
    """Event types that the core writes; adapters may add incidents of their own."""

    ORDER_RECEIVED = "order_received"
    ORDER_CLAIMED = "order_claimed"
    ORDER_EXECUTION_STARTED = "order_execution_started"
    ORDER_EXECUTION_RESUMED = "order_execution_resumed"
    ORDER_EXECUTED_SUCCESS = "order_executed_success"
    ORDER_EXECUTED_FAILURE = "order_executed_failure"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_EXPIRED = "order_expired"
    ORDER_DEAD_LETTERED = "order_dead_lettered"
    ORDER_REFUSED = "order_refused"
    ORDER_GIVEN_BACK = "order_given_back"
    ORDER_TAKEN_OVER = "order_taken_over"
    ORDER_QUARANTINED = "order_quarantined"
    ORDER_DUPLICATE = "order_duplicate"
    ORDER_CANCEL_REQUESTED = "order_cancel_requested"
    ORDER_RETRIED = "order_retried"
    ORDER_DISMISSED = "order_dismissed"
    """It was given up, and a person needs it no more."""
    LEASE_LOST = "lease_lost"
    PERMISSION_REQUESTED = "permission_requested"
    QUESTION_ASKED = "question_asked"
    REQUEST_RESOLVED = "request_resolved"
    SESSION_STARTED = "session_started"
    SESSION_REPLACED = "session_replaced"
    SESSION_RESET = "session_reset"
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_HELD = "message_held"
    MESSAGE_DROPPED = "message_dropped"
    ORDER_SUBMITTED = "order_submitted"
    COMMAND_USED = "command_used"
    REQUEST_ANSWERED = "request_answered"
    LETTER_DELIVERED = "letter_delivered"
    LETTER_UNDELIVERABLE = "letter_undeliverable"
    DELIVERY_UNKNOWN = "delivery_unknown"
    RATE_LIMITED = "rate_limited"
    PAIRING_REQUESTED = "pairing_requested"
    PERSON_ADMITTED = "person_admitted"
    PERSON_REMOVED = "person_removed"
    CLEANED_UP = "cleaned_up"
    """Old files were removed on a person's order; `kind` and `before` say which."""
    DAEMON_STARTED = "daemon_started"
    DAEMON_STOPPED = "daemon_stopped"


@frozen(kw_only=True)
class AuditEvent:
    """One transition, denial, delivery or deed of an operator."""

    timestamp: datetime
    event_type: str
    severity: AuditSeverity = AuditSeverity.INFO
    order_id: str | None = None
    machine: str | None = None
    data: JSONObject = field(default=EMPTY)
    """Further keys of the line; never the order's text in full, never a token."""


@frozen(kw_only=True)
class AuditRecord:
    """An event as it stands in the trail, with its place in the chain."""

    event: AuditEvent
    sequence: int | None
    """1-based number in the chain; None for a line of the original system, which has no chain."""
    digest: str | None
    """SHA-256 of the line, in hexadecimal."""


@frozen(kw_only=True)
class AuditQuery:
    """Which lines are wanted; None is no restriction."""

    limit: int | None = 100
    """The newest so many, given oldest first."""
    severity: AuditSeverity | None = None
    severities: frozenset[AuditSeverity] | None = None
    """One of these."""
    event_type: str | None = None
    since: datetime | None = None
    order_id: str | None = None

    def matches(self, event: AuditEvent) -> bool:
        """Whether the event is one of those wanted, `limit` apart."""
        return (
            (self.severity is None or event.severity == self.severity)
            and (self.severities is None or event.severity in self.severities)
            and (self.event_type is None or event.event_type == self.event_type)
            and (self.since is None or event.timestamp >= self.since)
            and (self.order_id is None or event.order_id == self.order_id)
        )


@frozen(kw_only=True)
class TrailPiece:
    """Some lines of the trail, one behind the other."""

    records: tuple[AuditRecord, ...]
    """Oldest first; what is no record was passed over."""
    mark: str | None
    """Where the next piece begins; None while there is no line.  A word of the adapter's own."""
    is_at_end: bool
    """Whether there was nothing behind it at that moment."""


@frozen(kw_only=True)
class ChainReport:
    """What a check of the chain found."""

    is_intact: bool
    lines: int
    head: str | None
    """Digest of the newest line: write it down elsewhere, and a cut-off end is found too."""
    faults: tuple[str, ...] = ()
    """Each names the file and line, and what is wrong there."""
    unchained: int = 0
    """Lines of the original system, which cannot be checked."""
    notes: tuple[str, ...] = ()
    """What is no fault and yet worth knowing, with file and line: what a crash cut short."""
