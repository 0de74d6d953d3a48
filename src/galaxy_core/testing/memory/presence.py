"""A daemon's sign of life, kept in memory."""

from __future__ import annotations

import contextlib

from attrs import define, field

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.presence import Presence
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryPresence(Presence):
    """The last heartbeat; operations are named `presence.<method>`."""

    heartbeat: Heartbeat | None = None
    faults: Faults = field(factory=Faults, kw_only=True)

    async def beat(self, heartbeat: Heartbeat) -> None:
        with contextlib.suppress(StorageUnavailable):
            async with self.faults.around("presence.beat"):
                self.heartbeat = heartbeat

    async def read(self) -> Heartbeat | None:
        with contextlib.suppress(StorageUnavailable):
            async with self.faults.around("presence.read", is_write=False):
                return self.heartbeat
        return None
