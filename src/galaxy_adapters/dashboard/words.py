"""How times, amounts and states read on the pages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.insight import Level
from galaxy_core.domain.order import JSONValue, Order
from galaxy_core.domain.state import OrderState

__all__ = [
    "LEVELS",
    "STATES",
    "ago",
    "amount",
    "clock",
    "coded",
    "cut",
    "event",
    "iso",
    "many",
    "money",
    "query",
    "quoted",
    "shown",
    "size",
    "span",
    "stamp",
    "title",
]

LEVELS: Mapping[Level, str] = {
    Level.WELL: "Well",
    Level.DOUBTFUL: "Look at it",
    Level.UNWELL: "Does not work",
}
STATES: Mapping[OrderState, str] = {
    OrderState.PENDING: "waiting",
    OrderState.CLAIMED: "starting",
    OrderState.RUNNING: "running",
    OrderState.SUCCEEDED: "succeeded",
    OrderState.FAILED: "failed",
    OrderState.CANCELLED: "cancelled",
    OrderState.EXPIRED: "expired",
    OrderState.DEAD: "given up",
}
_EVENTS: Mapping[str, str] = {
    AuditType.ORDER_SUBMITTED: "Handed in",
    AuditType.ORDER_RECEIVED: "Received",
    AuditType.ORDER_CLAIMED: "Claimed by Hermes",
    AuditType.ORDER_EXECUTION_STARTED: "Sent to the agent",
    AuditType.ORDER_EXECUTION_RESUMED: "Taken up again where it stood",
    AuditType.ORDER_EXECUTED_SUCCESS: "Succeeded",
    AuditType.ORDER_EXECUTED_FAILURE: "Failed",
    AuditType.ORDER_CANCELLED: "Cancelled",
    AuditType.ORDER_EXPIRED: "Expired before it could begin",
    AuditType.ORDER_DEAD_LETTERED: "Given up (dead letter)",
    AuditType.ORDER_REFUSED: "Refused",
    AuditType.ORDER_GIVEN_BACK: "Given back, to be tried again",
    AuditType.ORDER_TAKEN_OVER: "Taken over from a worker that was gone",
    AuditType.ORDER_QUARANTINED: "Set aside: unreadable",
    AuditType.ORDER_DUPLICATE: "Came once more, and was known",
    AuditType.ORDER_CANCEL_REQUESTED: "Somebody wants it cancelled",
    AuditType.ORDER_RETRIED: "Somebody had it done once more",
    AuditType.ORDER_DISMISSED: "Somebody needs it no more",
    AuditType.LEASE_LOST: "The worker lost its hold",
    AuditType.PERMISSION_REQUESTED: "The agent asks for permission",
    AuditType.QUESTION_ASKED: "The agent asks a question",
    AuditType.REQUEST_ANSWERED: "A person answered",
    AuditType.REQUEST_RESOLVED: "The agent got its answer",
    AuditType.SESSION_STARTED: "A new session began",
    AuditType.SESSION_REPLACED: "The session was replaced",
    AuditType.SESSION_RESET: "The session was forgotten",
    AuditType.LETTER_DELIVERED: "The answer was delivered",
    AuditType.LETTER_UNDELIVERABLE: "The answer reached nobody",
    AuditType.RATE_LIMITED: "The channel asked us to wait",
    AuditType.DELIVERY_UNKNOWN: "Nobody can tell whether the answer arrived",
}
_TITLE = 140
_VALUE = 400
_ROUNDED_UP = 0.9995
"""From here on three digits round to the next unit."""


def event(kind: str) -> str:
    """What happened, for people."""
    return _EVENTS.get(kind) or kind.replace("_", " ").capitalize()


def title(order: Order, length: int = _TITLE) -> str:
    """The first line of an order, or what stands for it."""
    # Only the beginning is looked at: a payload may be megabytes long.
    lines = (line.strip() for line in order.payload[:4_000].splitlines())
    first = next((line for line in lines if line), "")
    if first:
        return cut(first, length)
    if order.media:
        return many(len(order.media), "file")
    return "(empty)"


def cut(text: str, length: int) -> str:
    """At most so many characters, an ellipsis included."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def span(duration: timedelta | None) -> str:
    """How long something is: its two largest units."""
    if duration is None:
        return "-"
    seconds = max(0.0, duration.total_seconds())
    if 0 < seconds < 10:  # noqa: PLR2004 - below that a tenth says something
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    whole = round(seconds)
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((n for n, (number, _) in enumerate(units) if number), len(units) - 1)
    parts = [f"{number} {unit}" for number, unit in units[first : first + 2] if number]
    return " ".join(parts) or "0 s"


def ago(at: datetime, now: datetime) -> str:
    """How long ago, or in how long."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 10:  # noqa: PLR2004 - clocks differ by as much
        return "just now"
    distance = timedelta(seconds=abs(seconds))
    # One unit is enough: nobody asks for the minutes of last week.
    for unit, word in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if distance.total_seconds() >= unit:
            number = int(distance.total_seconds() // unit)
            return f"{number} {word} ago" if seconds > 0 else f"in {number} {word}"
    return "just now"


def coded(text: str) -> list[tuple[str, bool]]:
    """A sentence in pieces, each with whether it stood between backticks."""
    return [(piece, number % 2 == 1) for number, piece in enumerate(text.split("`")) if piece]


def iso(at: datetime) -> str:
    """For `<time>`."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stamp(at: datetime) -> str:
    """A point in time, whole."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(at: datetime) -> str:
    """The time of day."""
    return at.astimezone(UTC).strftime("%H:%M:%S")


def many(number: int, thing: str) -> str:
    """`1 order`, `2 orders`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def amount(number: float) -> str:
    """A number with three digits: `950`, `12.3 k`, `4.56 M`."""
    for unit, word in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= unit * _ROUNDED_UP:
            return f"{_three(number / unit)}{word}"
    return _three(number)


def _three(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"  # noqa: PLR2004 - no exponents


def money(dollars: float) -> str:
    """US dollars; small amounts to the hundredth of a cent."""
    if not dollars:
        return "$0"
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.4f}"


def size(number: int) -> str:
    """Bytes, in units of a thousand as disks are sold."""
    for unit, word in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.3g} {word}"
    return f"{number} B"


def quoted(text: str) -> str:
    """One piece of an address's path, whatever stands in it."""
    return quote(text, safe="", errors="replace")


def query(pairs: Mapping[str, str] | Sequence[tuple[str, str]]) -> str:
    """The part of an address behind its question mark."""
    return urlencode(pairs, errors="replace")


def shown(value: JSONValue) -> str:
    """A value of an audit line, on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(" ".join(text[: 4 * _VALUE].split()), _VALUE)
