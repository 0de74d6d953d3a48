"""What an adapter's author provides for the suites of the smaller ports."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Generic, TypeAlias, TypeVar

import anyio
from attrs import frozen

from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS

Port = TypeVar("Port")


@frozen(kw_only=True)
class StoreFeatures:
    """What a store can do beyond the bare contract."""

    has_several_processes: bool = True
    """Several processes may have it open; each `Harness.open` is one."""
    survives_restart: bool = True
    """What was stored is still there after every process has ended."""
    can_refuse: bool = True
    """The harness can have it refuse, as a full or broken disk does: `Harness.refusing`."""


class Harness(ABC, Generic[Port]):
    """One fresh, empty store, as a suite sees it."""

    tick: timedelta = timedelta(seconds=1)
    """A short time, long enough to be told apart."""

    @abstractmethod
    async def open(self) -> Port:
        """Open the store as one more process does."""

    @abstractmethod
    def now(self) -> datetime:
        """The time of day, as the store sees it."""

    @abstractmethod
    async def elapse(self, duration: timedelta) -> None:
        """Let time pass for the store and for whoever waits in it."""

    async def restart(self) -> None:
        """End every process that has the store open; `open` afterwards finds what was stored."""
        raise NotImplementedError

    def refusing(self) -> AbstractAsyncContextManager[None]:
        """Have the store refuse reads and writes as long as the block runs, in every process."""
        raise NotImplementedError


Wait: TypeAlias = Callable[[timedelta | None], Awaitable[bool]]
"""A port's own `wait`."""

Look: TypeAlias = Callable[[], Awaitable[bool]]
"""What a daemon does when it woke up: True when it found what it waited for."""

_SOME_WAKES = 3
"""Waking up for nothing is allowed, going on doing so is not."""


@asynccontextmanager
async def expect_waking(wait: Wait, look: Look) -> AsyncIterator[None]:
    """Assert that a daemon that looks, waits and looks again finds what the block brings."""
    has_looked, has_found = anyio.Event(), anyio.Event()

    async def serve() -> None:
        while not await look():
            has_looked.set()
            await wait(timedelta(days=1))
        has_found.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve, name="daemon")
        with anyio.fail_after(PROMPT_SECONDS):
            await has_looked.wait()
        await settle()
        assert not has_found.is_set(), "it was there before anything had happened"
        yield
        with anyio.fail_after(PROMPT_SECONDS):
            await has_found.wait()


async def expect_timeout(harness: Harness[Port], wait: Wait) -> None:
    """Assert that `wait` ends after its time with False, after waking for nothing rarely."""
    is_over = anyio.Event()
    woken = 0

    async def sleep_on() -> None:
        nonlocal woken
        while await wait(harness.tick * 5):
            woken += 1
            assert woken <= _SOME_WAKES, "it wakes up again and again for nothing"
        is_over.set()

    async with anyio.create_task_group() as group:
        group.start_soon(sleep_on, name="wait")
        for _ in range(_SOME_WAKES + 2):
            await settle()
            if not is_over.is_set():
                await harness.elapse(harness.tick * 6)
        with anyio.fail_after(PROMPT_SECONDS):
            await is_over.wait()
