"""What a look saw, kept the longer the more it took to see."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Generic, TypeVar

import anyio
from attrs import define, field

from galaxy_core.ports.clock import Clock

T = TypeVar("T")

COST_FACTOR = 100
"""Looks that cost something take no more than a hundredth of the time, however often one asks."""
LONGEST = timedelta(seconds=30)


@define(eq=False)
class Kept(Generic[T]):
    """A look that many may ask for, and that is made anew when enough time has passed."""

    _clock: Clock
    _look: Callable[[], Awaitable[T]]
    _seen: T | None = field(default=None, init=False)
    _good_until: float = field(default=float("-inf"), init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def get(self) -> T:
        """What was seen last, at most half a minute ago.  Raises what the look raises."""
        async with self._turn:
            if self._seen is None or self._clock.monotonic() >= self._good_until:
                return await self._renew()
            return self._seen

    async def renew(self) -> T:
        """Look now, for all who ask after it."""
        async with self._turn:
            return await self._renew()

    async def _renew(self) -> T:
        begun = self._clock.monotonic()
        seen = self._seen = await self._look()
        now = self._clock.monotonic()
        self._good_until = now + keep_for(now - begun)
        return seen


def keep_for(seconds: float) -> float:
    """For how many seconds to keep what took so many to see."""
    return min(seconds * COST_FACTOR, LONGEST.total_seconds())
