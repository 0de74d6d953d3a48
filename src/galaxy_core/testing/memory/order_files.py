"""Folders of orders, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from galaxy_core.domain.errors import InvalidOrder
from galaxy_core.domain.ids import ConversationKey, OrderId, why_not_an_order_id
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryOrderFiles(OrderFiles):
    """Names in folders that do not exist; operations are `files.open` and `files.list`."""

    folders: dict[Path, set[str]] = field(factory=dict)
    """What plain files each folder holds; a test puts them there."""
    links: dict[Path, Path] = field(factory=dict)
    """What the agent's paths lead to."""
    root: Path = Path("/order-files")
    faults: Faults = field(factory=Faults, kw_only=True)

    def folder(self, order_id: OrderId) -> Path:
        """Where the files of an order lie."""
        return self.root / order_id / "out"

    async def open_outgoing(self, order_id: OrderId, conversation: ConversationKey) -> Path:
        async with self.faults.around("files.open"):
            problem = why_not_an_order_id(order_id)
            if problem is not None:
                raise InvalidOrder(f"The order's id cannot be a folder's name: {problem}.")
            folder = self.folder(order_id)
            self.folders.setdefault(folder, set())
            link = self.root / "outgoing" / conversation
            self.links[link] = folder
            return link

    def put(self, folder: Path, name: str) -> None:
        """Put a file there, as an agent does."""
        self.folders[self.links.get(folder, folder)].add(name)

    async def outgoing(self, order_id: OrderId) -> Sequence[str]:
        async with self.faults.around("files.list", is_write=False):
            folder = self.folder(order_id)
            names = self.folders.get(folder, set())
            return tuple(str(folder / name) for name in sorted(names) if name[0] != ".")
