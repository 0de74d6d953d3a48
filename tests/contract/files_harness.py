"""Adapters over files under the suites: a folder each, a manual clock, closed at the end."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from galaxy_core.testing.contracts import Harness
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout

Port = TypeVar("Port")


class FilesHarness(Harness[Port]):
    """Opens adapters on one machine's files, as several processes do."""

    def __init__(self, folder: Path, make: Callable[["FilesHarness[Port]"], Port]) -> None:
        self.layout = Layout(folder)
        self.clock = ManualClock()
        self.incidents = MemoryIncidentSink()
        self._make = make
        self._open: list[Port] = []

    async def open(self) -> Port:
        adapter = self._make(self)
        self._open.append(adapter)
        return adapter

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def restart(self) -> None:
        await self.close()

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Have a plain file stand where the folder was, which stops root, too."""
        folder = self.layout.repo_path
        away = folder.rename(folder.with_name(f"{folder.name}-away"))
        folder.write_text("no folder")
        yield
        folder.unlink()
        away.rename(folder)

    async def close(self) -> None:
        """Close what was opened, where it can be closed."""
        for adapter in self._open:
            close = getattr(adapter, "close", None)
            result = close() if close is not None else None
            if result is not None:
                await result
        self._open.clear()
