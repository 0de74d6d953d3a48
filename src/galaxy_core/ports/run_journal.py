"""Port: what is written down about an order before something is done that cannot be undone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from galaxy_core.domain.delivery import RunRecord, Settlement, Ticket
from galaxy_core.domain.ids import OrderId


class RunJournal(Protocol):
    """Per order: the tickets under which it was sent, and how it was decided to end."""

    @abstractmethod
    async def write_ticket(self, order_id: OrderId, ticket: Ticket) -> None:
        """Add a ticket; when this returns, it survives a power cut.

        Raises `StorageUnavailable`; then the message must not be sent.
        """

    @abstractmethod
    async def write_settlement(self, settlement: Settlement) -> None:
        """Write the decision down, durably.

        Of several the one that `outranks` the others stands, and `read` returns it: that of the
        latest attempt, and of one attempt the first.
        """

    @abstractmethod
    async def read(self, order_id: OrderId) -> RunRecord:
        """What is known, empty when nothing is.  A record torn by a crash counts as unwritten."""

    @abstractmethod
    async def list(self) -> Sequence[OrderId]:
        """Orders of which something is written down, in no order.

        For sweeping at start: a crash between archiving an order and `forget` leaves a record.
        """

    @abstractmethod
    async def forget(self, order_id: OrderId) -> None:
        """Drop all of it, once the order is archived.  Safe twice."""
