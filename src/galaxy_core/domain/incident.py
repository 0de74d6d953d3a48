"""Things an adapter ran into that a person should hear of, but that stop nothing."""

from __future__ import annotations

import enum
from collections.abc import Callable

from attrs import field, frozen

from galaxy_core.domain.order import EMPTY, JSONObject


class IncidentSeverity(enum.StrEnum):
    """The audit trail's levels."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


@frozen(kw_only=True)
class Incident:
    """One such thing.

    `key` makes it the same incident when it is reported again (after a crash between the deed
    and its report): who reports must choose it so, who receives must be safe against repeats.
    """

    kind: str
    """Event type in the audit trail, past tense: `order_quarantined`, `queue_rescanned`."""
    message: str
    key: str
    severity: IncidentSeverity = IncidentSeverity.WARNING
    order_id: str | None = None
    is_for_people: bool = False
    """Whether it deserves a letter, not only a line in the trail."""
    data: JSONObject = field(default=EMPTY)
    on_told: Callable[[], None] | None = field(default=None, eq=False, repr=False)
    """Called once trail and people have it, so that it need not be reported again after a restart.
    It runs in the event loop: it must be quick, and never raise."""
