"""What lies in a machine's folder, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.machine_folder import DiskSpace, MachineFolder
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryMachineFolder(MachineFolder):
    """A test puts there what it likes; operations are named `folder.<method>`."""

    disk: DiskSpace = field(
        factory=lambda: DiskSpace(free_bytes=50_000_000_000, total_bytes=100_000_000_000)
    )
    files: dict[str, list[str]] = field(factory=dict)
    """Absolute paths, by order."""
    log: list[str] = field(factory=list)
    """Lines of the health log."""
    faults: Faults = field(factory=Faults, kw_only=True)

    async def space(self) -> DiskSpace:
        async with self.faults.around("folder.space", is_write=False):
            return self.disk

    async def files_of(self, order_id: OrderId) -> Sequence[str]:
        async with self.faults.around("folder.files_of", is_write=False):
            return tuple(self.files.get(order_id, ()))

    async def health_log(self, limit: int) -> Sequence[str]:
        async with self.faults.around("folder.health_log", is_write=False):
            return self.log[-limit:] if limit > 0 else []
