"""What the API answers: one attrs class a document, made from the core's values.

Members are never left out: what is not known is null.  Durations are seconds and say so.
"""

from __future__ import annotations

from datetime import timedelta

__all__ = ["seconds"]


def seconds(duration: timedelta | None) -> float | None:
    """A duration as documents have it."""
    return None if duration is None else duration.total_seconds()
