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


def keep_for(seconds: float) -> float:
    """For how many seconds: half a minute at most."""
    return min(seconds * COST_FACTOR, LONGEST.total_seconds())


@define(eq=False)
class Kept(Generic[T]):
    """A look that many may ask for, and that is made anew when enough time has passed."""

    _clock: Clock
    _look: Callable[[], Awaitable[T]]
    _keep_for: Callable[[float], float] = field(default=keep_for, kw_only=True)
    """For how many seconds to keep what took so many to see."""
    _seen: T | None = field(default=None, init=False)
    _good_until: float = field(default=float("-inf"), init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def get(self, *, unless: Callable[[T], bool] | None = None) -> T:
        """What was seen last, unless that is too old, or this says so.  Raises as the look does."""
        async with self._turn:
            seen = self._seen
            is_old = seen is None or self._clock.monotonic() >= self._good_until
            if seen is None or is_old or (unless is not None and unless(seen)):
                return await self._renew()
            return seen

    async def renew(self) -> T:
        """Look now, for all who ask after it."""
        async with self._turn:
            return await self._renew()

    async def _renew(self) -> T:
        begun = self._clock.monotonic()
        seen = self._seen = await self._look()
        now = self._clock.monotonic()
        self._good_until = now + self._keep_for(now - begun)
        return seen
