"""Flood control, off unless a test asks for it.

The numbers are those that people measured (`RateLimits`); who goes on calling while told to wait
waits longer.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque

from attrs import define, field, frozen

from galaxy_core.testing.bot_api.errors import flood


@frozen
class RateLimits:
    """How often messages may be written and edited; None is without a limit."""

    per_chat_seconds: float | None = 1.0
    """One message in so many seconds and chat ..."""
    burst: int = 3
    """... after so many at once."""
    per_group_minute: int | None = 20
    per_second: int | None = 30
    """Over all chats."""


@define
class _Lane:
    tokens: float
    at: float
    until: float = 0.0
    """Refused until then."""


@define
class FloodControl:
    """Counts calls and refuses them."""

    limits: RateLimits
    refused: int = 0
    _lanes: dict[int, _Lane] = field(factory=dict)
    _groups: dict[int, deque[float]] = field(factory=lambda: defaultdict(deque))
    _all: deque[float] = field(factory=deque)

    def admit(self, chat_id: int, now: float, *, count: int = 1) -> None:
        """Count `count` messages to a chat; raises `ApiError` where they are too many."""
        limits = self.limits
        lane = self._lanes.setdefault(chat_id, _Lane(float(limits.burst), now))
        if now < lane.until:
            lane.until += 1.0  # still calling: it stays angry
            self._refuse(lane.until - now)
        waits = [0.0]
        if limits.per_chat_seconds is not None:
            earned = (now - lane.at) / limits.per_chat_seconds
            lane.tokens = min(float(limits.burst), lane.tokens + earned)
            waits.append((1 - lane.tokens) * limits.per_chat_seconds)
        lane.at = now
        if limits.per_group_minute is not None and chat_id < 0:
            waits.append(_wait(self._groups[chat_id], now, 60.0, limits.per_group_minute))
        if limits.per_second is not None:
            waits.append(_wait(self._all, now, 1.0, limits.per_second))
        if (wait := max(waits)) > 0:
            lane.until = now + math.ceil(wait)
            self._refuse(math.ceil(wait))
        lane.tokens -= count
        self._groups[chat_id].extend([now] * count)
        self._all.extend([now] * count)

    def _refuse(self, seconds: float) -> None:
        self.refused += 1
        raise flood(max(1, math.ceil(seconds)))


def _wait(times: deque[float], now: float, span: float, most: int) -> float:
    while times and times[0] <= now - span:
        times.popleft()
    return times[0] + span - now if len(times) >= most else 0.0
