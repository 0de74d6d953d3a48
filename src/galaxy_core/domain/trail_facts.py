"""What single lines of the trail say about orders, for whoever counts."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from attrs import frozen

from galaxy_core.domain.audit import AuditEvent, AuditType
from galaxy_core.domain.insight import Histogram
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.response import Outcome

RUN_BOUNDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
DELIVERY_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
"""Upper bounds of histograms, in seconds."""

_ENDS: Mapping[str, Outcome] = MappingProxyType(
    {
        AuditType.ORDER_EXECUTED_SUCCESS.value: Outcome.SUCCEEDED,
        AuditType.ORDER_EXECUTED_FAILURE.value: Outcome.FAILED,
        AuditType.ORDER_CANCELLED.value: Outcome.CANCELLED,
        AuditType.ORDER_EXPIRED.value: Outcome.EXPIRED,
        AuditType.ORDER_DEAD_LETTERED.value: Outcome.DEAD,
    }
)


_MOST = 1e15
"""Nobody runs so long or costs so much; sums of it are still numbers for every store."""


@frozen(kw_only=True)
class OrderEnded:
    """An order is over."""

    order_id: str
    machine: str
    outcome: Outcome
    at: datetime
    run_seconds: float | None
    """None where it never ran."""
    tokens: int
    cost_usd: float


@frozen(kw_only=True)
class AnswerDelivered:
    """Everybody has the answer to an order."""

    order_id: str
    at: datetime


Fact: TypeAlias = OrderEnded | AnswerDelivered


def fact_of(event: AuditEvent) -> Fact | None:
    """What a line says; None when it is about something else.

    Lines may be told twice: the first one of an order counts.
    """
    if event.order_id is None:
        return None
    outcome = _ENDS.get(event.event_type)
    if outcome is not None:
        seconds = _number(event.data.get("elapsed_s"))
        return OrderEnded(
            order_id=event.order_id,
            machine=event.machine or "",
            outcome=outcome,
            at=event.timestamp,
            run_seconds=seconds,
            tokens=int(_number(event.data.get("tokens")) or 0),
            cost_usd=_number(event.data.get("cost_usd")) or 0.0,
        )
    is_delivery = event.event_type == AuditType.LETTER_DELIVERED
    # Other letters speak of the order too: questions, incidents.
    if is_delivery and event.data.get("letter") == f"hermes-{event.order_id}":
        return AnswerDelivered(order_id=event.order_id, at=event.timestamp)
    return None


def bucket(bounds: Sequence[float], seconds: float) -> int:
    """Number of the first bound that is not below; `len(bounds)` when all are."""
    return bisect.bisect_left(bounds, seconds)


def histogram(bounds: tuple[float, ...], hits: Mapping[int, int], total: float) -> Histogram:
    """Sum up hits by bucket."""
    counts, so_far = [], 0
    for number in range(len(bounds) + 1):
        so_far += hits.get(number, 0)
        counts.append(so_far)
    return Histogram(bounds=bounds, counts=tuple(counts), total_seconds=total)


def rank(number: int, percent: int) -> int:
    """Which of `number` sorted values, from 1, has that many percent at or below it."""
    return max(1, -(-number * percent // 100))


def _number(value: JSONValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return min(number, _MOST) if math.isfinite(number) and number >= 0 else None
