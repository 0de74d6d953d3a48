"""The members by which the archive says how an order ended."""

from __future__ import annotations

from datetime import UTC, datetime

from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.domain.response import Ending, Outcome, Usage
from galaxy_core.wire.fields import FieldReader
from galaxy_core.wire.times import write_time

__all__ = [
    "AS_WRITTEN",
    "ENDING_KEYS",
    "ending_from",
    "ending_members",
    "usage_from",
    "usage_members",
]

AS_WRITTEN = "as_written"
"""Where the archive keeps members of the order itself that have names from this list."""

ENDING_KEYS = (
    "acknowledged",
    "acknowledged_at",
    "acknowledged_by",
    "outcome",
    "attempts",
    "started_at",
    "finished_at",
    "session_id",
    "reason",
    "cost_usd",
    "tokens",
    "may_have_run_twice",
    "is_demo",
    AS_WRITTEN,
)
"""All members that an ending may add to an order."""

_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_TOKENS = ("input", "output", "reasoning", "cache_read", "cache_write")


def ending_members(ending: Ending) -> dict[str, JSONValue]:
    """Write an ending; what is not known is left out."""
    finished_at = write_time(ending.finished_at)
    members: dict[str, JSONValue] = {
        "acknowledged": True,
        "acknowledged_at": finished_at,
        "acknowledged_by": ending.acknowledged_by,
        "outcome": ending.outcome.value,
        "attempts": ending.attempts,
        "finished_at": finished_at,
    }
    if ending.started_at is not None:
        members["started_at"] = write_time(ending.started_at)
    if ending.session_id is not None:
        members["session_id"] = ending.session_id
    if ending.reason is not None:
        members["reason"] = ending.reason
    if ending.usage is not None:
        members |= usage_members(ending.usage)
    if ending.may_have_run_twice:
        members["may_have_run_twice"] = True
    if ending.is_demo:
        members["is_demo"] = True
    return members


def ending_from(wire: JSONObject) -> Ending | None:
    """Read an ending; None when the object says nothing of one.

    Archives of the original system say only that an order was acknowledged: it counts as
    succeeded then, in one attempt.  An outcome that nobody knows counts as failed.
    """
    read = FieldReader(wire)
    word = read.word("outcome")
    if word is None and not read.flag("acknowledged"):
        return None
    outcome, reason = Outcome.SUCCEEDED, read.word("reason")
    if word is not None:
        try:
            outcome = Outcome(word)
        except ValueError:
            outcome, reason = Outcome.FAILED, reason or "The archive names an unknown outcome."
    attempts = wire.get("attempts")
    return Ending(
        outcome=outcome,
        finished_at=read.time("finished_at", "acknowledged_at", "timestamp") or _UNKNOWN_TIME,
        acknowledged_by=read.word("acknowledged_by") or "",
        attempts=attempts if type(attempts) is int else 1,
        started_at=read.time("started_at"),
        session_id=read.word("session_id"),
        usage=usage_from(wire),
        reason=reason,
        may_have_run_twice=read.flag("may_have_run_twice"),
        is_demo=read.flag("is_demo"),
    )


def usage_members(usage: Usage) -> dict[str, JSONValue]:
    """Write what a run cost: `cost_usd`, and `tokens` by kind."""
    return {
        "cost_usd": usage.cost_usd,
        "tokens": {kind: getattr(usage, f"{kind}_tokens") for kind in _TOKENS},
    }


def usage_from(wire: JSONObject) -> Usage | None:
    """Read what a run cost; None when the object does not say."""
    tokens, cost = wire.get("tokens"), wire.get("cost_usd")
    if type(tokens) is not dict and cost is None:
        return None
    counts = tokens if type(tokens) is dict else {}
    return Usage(
        cost_usd=float(cost) if isinstance(cost, int | float) else 0.0,
        **{f"{kind}_tokens": _count(counts.get(kind)) for kind in _TOKENS},
    )


def _count(value: JSONValue) -> int:
    return value if type(value) is int else 0
