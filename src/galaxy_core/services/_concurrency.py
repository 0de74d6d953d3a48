"""Small helpers over anyio's task groups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio

from galaxy_core.domain.errors import GalaxyError
from galaxy_core.ports.clock import Clock


async def together(*calls: Callable[[], Awaitable[object]]) -> None:
    """Run the calls side by side; raises the first failure itself, not a group around it.

    All calls are waited for, also when one fails: each of them writes something down, and a
    write that is cancelled half way helps nobody.
    """
    failures: list[GalaxyError] = []

    async def guarded(call: Callable[[], Awaitable[object]]) -> None:
        try:
            await call()
        except GalaxyError as error:  # handed on below, after the others have ended
            failures.append(error)

    # The last one needs no task of its own; one alone needs no group at all.
    *others, last = calls
    if not others:
        await last()
        return
    async with anyio.create_task_group() as tasks:
        for call in others:
            tasks.start_soon(guarded, call)
        await guarded(last)
    if failures:
        raise failures[0]


async def wait_for_event(event: anyio.Event, clock: Clock, patience: timedelta | None) -> bool:
    """Wait until `event` is set or `patience` has passed on `clock`; whether it was set."""
    if patience is None:
        await event.wait()
        return True
    if clock.follows_event_loop:
        with anyio.move_on_after(patience.total_seconds()):
            await event.wait()
        return event.is_set()
    async with anyio.create_task_group() as tasks:

        async def give_up() -> None:
            await clock.sleep(patience)
            tasks.cancel_scope.cancel()

        tasks.start_soon(give_up, name="timeout")
        await event.wait()
        tasks.cancel_scope.cancel()
    return event.is_set()


async def either(*calls: Callable[[], Awaitable[object]]) -> None:
    """Return when the first of the calls has; the others are cancelled."""
    failures: list[GalaxyError] = []
    async with anyio.create_task_group() as tasks:

        async def guarded(call: Callable[[], Awaitable[object]]) -> None:
            try:
                await call()
            except GalaxyError as error:  # handed on below: a task group would wrap it in a group
                failures.append(error)
            tasks.cancel_scope.cancel()

        for call in calls:
            tasks.start_soon(guarded, call)
    if failures:
        raise failures[0]
