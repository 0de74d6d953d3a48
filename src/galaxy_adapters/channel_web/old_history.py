"""Removing old messages of the page's chat, and the files that came with them.

Rows first, files after: killed in between, files are left that no message names, which the next
gateway sweeps at its start.  What the gateway has not heard yet stays, with all that is younger.
A gateway may be at work meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from functools import partial
from pathlib import Path

from anyio import to_thread
from attrs import define

from galaxy_adapters._files import storage_errors
from galaxy_adapters.channel_web import _history
from galaxy_adapters.channel_web._database import Database
from galaxy_adapters.channel_web._files import ID
from galaxy_adapters.channel_web.channel import FILES, HISTORY
from galaxy_core.domain.tidying import Pile
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.old_files import OldRecords

__all__ = ["OldHistory"]


@define(eq=False)
class OldHistory(OldRecords):
    """The chat in `folder`; where there is none, none is made."""

    _folder: Path
    _clock: Clock
    _incidents: IncidentSink

    async def measure(self, before: datetime) -> Pile:
        async with contextlib.AsyncExitStack() as stack:
            database = await self._open(stack)
            if database is None:
                return Pile()
            count, size, files = await database.read(partial(_history.old_messages, before=before))
        return Pile(count=count, size=size + await to_thread.run_sync(self._weigh, files))

    async def remove(self, before: datetime) -> Pile:
        async with contextlib.AsyncExitStack() as stack:
            database = await self._open(stack)
            if database is None:
                return Pile()
            count, size, files = await database.write(
                partial(_history.forget_messages, before=before)
            )
            size += await to_thread.run_sync(self._weigh, files)
            await to_thread.run_sync(self._unlink, files)
        return Pile(count=count, size=size)

    async def _open(self, stack: contextlib.AsyncExitStack) -> Database | None:
        path = self._folder / HISTORY
        # Not `exists`, which calls missing whatever it cannot look at.
        with storage_errors("look at", path):
            try:
                path.stat()
            except FileNotFoundError:
                return None
        database = Database(path, self._clock, self._incidents)
        stack.push_async_callback(database.close)
        await database.open()
        return database

    def _paths(self, files: list[str]) -> list[Path]:
        return [self._folder / FILES / file_id for file_id in files if ID.fullmatch(file_id)]

    def _weigh(self, files: list[str]) -> int:
        size = 0
        for path in self._paths(files):
            with contextlib.suppress(OSError):
                size += os.lstat(path).st_size
        return size

    def _unlink(self, files: list[str]) -> None:
        for path in self._paths(files):
            with contextlib.suppress(OSError):
                path.unlink()
