"""The machine's own clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import anyio

from galaxy_core.ports.clock import Clock

__all__ = ["SystemClock"]


class SystemClock(Clock):
    """`Clock` of the operating system."""

    follows_event_loop = True

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await anyio.sleep(max(0.0, duration.total_seconds()))
