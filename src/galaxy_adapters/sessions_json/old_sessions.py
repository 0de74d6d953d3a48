"""Conversations that nobody has gone on with for long, in the file of sessions."""

from __future__ import annotations

from datetime import datetime

from anyio import to_thread
from attrs import define

from galaxy_adapters.sessions_json.store import JsonSessionStore
from galaxy_core.domain.tidying import Pile
from galaxy_core.ports.old_files import OldRecords

__all__ = ["OldSessions"]


@define
class OldSessions(OldRecords):
    """Those of one machine; they have no size worth telling."""

    _store: JsonSessionStore

    async def measure(self, before: datetime) -> Pile:
        return Pile(count=len(await to_thread.run_sync(self._store.old, before)))

    async def remove(self, before: datetime) -> Pile:
        return Pile(count=await to_thread.run_sync(self._store.drop_old, before))
