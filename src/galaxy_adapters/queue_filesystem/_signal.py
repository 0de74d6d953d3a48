"""Waiting for a change or a moment, whichever comes first."""

from __future__ import annotations

from datetime import timedelta

import anyio

from galaxy_core.ports.clock import Clock


class Signal:
    """Tells everybody who waits that something changed."""

    def __init__(self) -> None:
        self.next_change = anyio.Event()
        """Set by the next change: take it first, then look, then wait for it."""

    def notify(self) -> None:
        """Something changed."""
        changed, self.next_change = self.next_change, anyio.Event()
        changed.set()


async def wait_or_sleep(change: anyio.Event, clock: Clock, nap: timedelta | None) -> None:
    """Return when `change` is set or after `nap`; None is no limit."""
    if nap is None:
        await change.wait()
        return
    if clock.follows_event_loop:
        with anyio.move_on_after(nap.total_seconds()):
            await change.wait()
        return
    async with anyio.create_task_group() as group:

        async def run() -> None:
            await change.wait()
            group.cancel_scope.cancel()

        group.start_soon(run, name="queue.change")
        await clock.sleep(nap)
        group.cancel_scope.cancel()
