"""Port: files that belong to an order, beside it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from galaxy_core.domain.ids import ConversationKey, OrderId


class OrderFiles(Protocol):
    """Folders of an order's own on the machine that runs it."""

    @abstractmethod
    async def open_outgoing(self, order_id: OrderId, conversation: ConversationKey) -> Path:
        """A path to the folder in which the agent puts files for the person; it exists.

        It is the same for all orders of a conversation, so that what the agent is told does not
        change from message to message (a model's provider keeps the beginning of a conversation
        for a tenth of the price while it stays the same).  It leads to the folder of the order
        that was opened last: a conversation has one order at a time.  Safe twice.
        """

    @abstractmethod
    async def outgoing(self, order_id: OrderId) -> Sequence[str]:
        """What lies in it now: absolute paths of plain files, by name; empty when there is none.

        Hidden files and links are left out.
        """
