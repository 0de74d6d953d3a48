"""Waiting for a change or for a moment of a clock, without losing a change in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import anyio
from anyio.lowlevel import checkpoint

from galaxy_core.ports.clock import Clock


class Signal:
    """Tells everybody who waits that something changed."""

    def __init__(self) -> None:
        self.version = 0
        """Number of changes so far."""
        self.next_change = anyio.Event()
        """Set by the next change: take it first, then look, then wait for it."""

    def notify(self) -> None:
        """Something changed."""
        self.version += 1
        changed, self.next_change = self.next_change, anyio.Event()
        changed.set()


async def wait_until(
    is_ready: Callable[[], bool],
    *,
    signal: Signal,
    clock: Clock,
    timeout: timedelta | None,
    pause: Callable[[], timedelta | None] = lambda: None,
) -> bool:
    """Return True once `is_ready()`, False when `timeout` has passed before.

    Asks at once, after every change, and after `pause()`, the time until it may become true by
    itself (None: never).
    """
    deadline = None if timeout is None else clock.monotonic() + timeout.total_seconds()
    await checkpoint()
    while True:
        changed = signal.next_change
        if is_ready():
            return True
        nap = pause()
        if deadline is not None:
            left = timedelta(seconds=deadline - clock.monotonic())
            if left <= timedelta(0):
                return False
            nap = left if nap is None else min(nap, left)
        await _first_of(changed, clock, nap)


async def _first_of(changed: anyio.Event, clock: Clock, nap: timedelta | None) -> None:
    if nap is None:
        await changed.wait()
        return
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            await changed.wait()
            group.cancel_scope.cancel()

        group.start_soon(watch, name="signal")
        await clock.sleep(nap)
        group.cancel_scope.cancel()
