"""A clock that stands still until a test moves it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio
from anyio.lowlevel import checkpoint

from galaxy_core.ports.clock import Clock

START = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)
"""Where a `ManualClock` begins unless told otherwise."""

_MICROSECOND = timedelta(microseconds=1)


async def settle(rounds: int = 25) -> None:
    """Let the other tasks of the loop run until they wait for something.

    Enough for tasks that wait for events and memory; work handed to threads is not waited for.
    """
    for _ in range(rounds):
        await checkpoint()


class ManualClock(Clock):
    """The time that a test says it is: microsecond steps, no drift, no waiting.

    `advance` moves both sides, `jump` the time of day alone (someone set the clock).  Belongs to
    one event loop.
    """

    def __init__(self, start: datetime = START) -> None:
        self._now = start.astimezone(UTC)
        # Whole microseconds, so that sums are exact and "due" is never missed by a rounding.
        self._elapsed = 0
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._tie_breaker = itertools.count()

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._elapsed / 1_000_000

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta(0):
            await checkpoint()
            return
        woken = anyio.Event()
        entry = (self._elapsed + duration // _MICROSECOND, next(self._tie_breaker), woken)
        heapq.heappush(self._sleepers, entry)
        try:
            await woken.wait()
        finally:
            if entry in self._sleepers:
                self._sleepers.remove(entry)
                heapq.heapify(self._sleepers)

    @property
    def sleepers(self) -> int:
        """How many tasks sleep on this clock now."""
        return len(self._sleepers)

    def advance(self, duration: timedelta) -> None:
        """Let `duration` pass at once, and wake whoever slept until then or earlier.

        The woken tasks run when the caller next waits for something; `elapse` is for loops that
        sleep again and again.
        """
        if duration < timedelta(0):
            raise ValueError("time goes forward; use jump() to set the time of day back")
        self._now += duration
        self._elapsed += duration // _MICROSECOND
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            heapq.heappop(self._sleepers)[2].set()

    async def elapse(
        self, duration: timedelta, *, settle: Callable[[], Awaitable[None]] = settle
    ) -> None:
        """Let `duration` pass as it does in life: every sleeper wakes at its own moment.

        `settle` returns once nobody works any more: before the time moves, and after each moment
        at which somebody wakes.  Pass your own when there is work in threads to be waited for.
        """
        end = self._elapsed + duration // _MICROSECOND
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.advance((self._sleepers[0][0] - self._elapsed) * _MICROSECOND)
            await settle()
        self.advance((end - self._elapsed) * _MICROSECOND)
        await settle()

    def jump(self, step: timedelta) -> None:
        """Set the time of day forward or back; nobody's sleep gets shorter or longer."""
        self._now += step
