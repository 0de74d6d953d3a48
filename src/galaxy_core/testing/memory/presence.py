"""A daemon's sign of life, kept in memory."""

from __future__ import annotations

from anyio.lowlevel import checkpoint
from attrs import define

from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.presence import Presence


@define(eq=False)
class MemoryPresence(Presence):
    """The last heartbeat."""

    heartbeat: Heartbeat | None = None

    async def beat(self, heartbeat: Heartbeat) -> None:
        await checkpoint()
        self.heartbeat = heartbeat

    async def read(self) -> Heartbeat | None:
        await checkpoint()
        return self.heartbeat
