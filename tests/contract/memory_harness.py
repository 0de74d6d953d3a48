"""Adapters in memory under the suites: one for each "process", on a manual clock."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import TypeVar

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.contracts import Harness
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory import ManualClock

Port = TypeVar("Port")


class MemoryHarness(Harness[Port]):
    """An adapter made anew for each "process", over the same contents."""

    def __init__(
        self, make: Callable[["MemoryHarness[Port]"], Port], faults: Faults | None = None
    ) -> None:
        self.clock = ManualClock()
        self.faults = faults or Faults()
        self._make = make

    async def open(self) -> Port:
        return self._make(self)

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def restart(self) -> None:
        """What processes share is kept outside of them; nothing of their own has to go."""

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        self.faults.fail(None, StorageUnavailable("refused"), times=None)
        yield
        self.faults.clear()
