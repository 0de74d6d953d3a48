"""Conversations that nobody has gone on with for long, in the file of sessions."""

from __future__ import annotations

from datetime import datetime

from anyio import to_thread
from attrs import define

from galaxy_adapters.sessions_json.store import JsonSessionStore
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.tidying import Pile
from galaxy_core.ports.old_files import OldRecords
from galaxy_core.ports.order_catalogue import OrderCatalogue

__all__ = ["OldSessions"]


@define
class OldSessions(OldRecords):
    """Those of one machine; they have no size worth telling."""

    _store: JsonSessionStore
    _catalogue: OrderCatalogue
    _machine: str

    async def measure(self, before: datetime) -> Pile:
        needed = await self._needed()
        return Pile(count=await to_thread.run_sync(self._store.old, before, needed))

    async def remove(self, before: datetime) -> Pile:
        needed = await self._needed()
        return Pile(count=await to_thread.run_sync(self._store.drop_old, before, needed))

    async def _needed(self) -> frozenset[ConversationKey]:
        """Those in which an order waits or runs, however long."""
        needed: set[ConversationKey] = set()
        async for views in self._catalogue.unfinished():
            needed.update(view.order.conversation(self._machine) for view in views)
        return frozenset(needed)
