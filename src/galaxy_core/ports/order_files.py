"""Port: files that belong to an order, beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from galaxy_core.domain.ids import OrderId


class OrderFiles(Protocol):
    """Folders of an order's own on the machine that runs it."""

    @abstractmethod
    async def open_outgoing(self, order_id: OrderId) -> Path:
        """The folder in which the agent puts files for the person; it exists.  Safe twice."""

    @abstractmethod
    async def outgoing(self, order_id: OrderId) -> Sequence[str]:
        """What lies in it now: absolute paths of plain files, by name; empty when there is none.

        Hidden files and links are left out.
        """
