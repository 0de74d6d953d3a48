"""Ports that programs and pages call (driving ports): what can be done, and what can be seen.

The services implement them; HTTP adapters know no more of the services than this.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.insight import (
    AuditPage,
    Figures,
    LiveOrder,
    MachineInsight,
    Overview,
    Slot,
    Timeline,
)
from galaxy_core.domain.operations import Cancellation, OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Response
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState


@frozen(kw_only=True)
class FoundOrder:
    """An order, where it is, and its answer if it has one."""

    machine: str
    view: OrderView
    response: Response | None = None
    is_new: bool = False
    """After `submit`: whether it was not known before."""


class FrontDesk(Protocol):
    """What can be done with orders and sessions, on every machine served here."""

    @abstractmethod
    async def submit(self, order: Order, *, machine: str | None = None) -> FoundOrder:
        """Hand an order in, for the machine named; durable on return.

        None: for the one that the order asks for, or the default one.  An order with an empty id
        gets one.  Safe twice, as `OrderQueue.enqueue`.  Raises `MachineNotFound`, `InvalidOrder`,
        `StorageUnavailable`.
        """

    @abstractmethod
    async def get(self, order_id: OrderId) -> FoundOrder:
        """The order as it stands.  Raises `OrderNotFound`."""

    @abstractmethod
    async def list(
        self,
        *,
        machine: str | None = None,
        states: frozenset[OrderState] | None = None,
        conversation: ConversationKey | None = None,
        limit: int = 50,
    ) -> Sequence[FoundOrder]:
        """The newest orders, without their answers.  Raises `MachineNotFound`.

        Those of a machine or a conversation are looked for among all that run, and among the newest
        thousands that wait, or have ended.
        """

    @abstractmethod
    async def wait(self, order_id: OrderId, patience: timedelta) -> FoundOrder:
        """The order when it has ended, or as it stands after `patience`.

        Raises `OrderNotFound`.
        """

    @abstractmethod
    async def cancel(self, order_id: OrderId, *, by: str) -> Cancellation:
        """Have it end as cancelled; safe twice.  Raises `OrderNotFound`."""

    @abstractmethod
    async def retry(self, order_id: OrderId, *, by: str) -> OrderId:
        """Enqueue it once more; the new id.  Raises `OrderNotFound`, `OrderNotRetryable`."""

    @abstractmethod
    async def reset_session(self, conversation: ConversationKey, *, machine: str | None) -> bool:
        """Forget a conversation's session on that machine (None: the default one).

        False when there was none.  Raises `MachineNotFound`.
        """


class Insight(Protocol):
    """What can be seen.  Costs nothing that grows with the number of orders that ended."""

    @abstractmethod
    async def overview(self) -> Overview:
        """Whether everything is well, and if not, what to do."""

    @abstractmethod
    async def machine(self, name: str | None = None) -> MachineInsight:
        """One machine (None: the default one).  Raises `MachineNotFound`."""

    @abstractmethod
    async def live(self) -> Sequence[LiveOrder]:
        """Orders that run and wait, running ones first, in the order of their turn.

        Where very many wait, some of them: `MachineInsight.counts` has how many there are.
        """

    @abstractmethod
    async def timeline(self, order_id: OrderId) -> Timeline:
        """One order's whole way.  Raises `OrderNotFound`."""

    @abstractmethod
    async def slots(self, since: datetime, width: timedelta) -> Sequence[Slot]:
        """Charts: pieces of time from `since` to now, empty ones included."""

    @abstractmethod
    async def figures(self) -> Figures:
        """Everything that is counted, for `/metrics`."""


class Records(Protocol):
    """What was written down."""

    @abstractmethod
    async def audit(  # noqa: PLR0913 - each narrows the search
        self,
        *,
        text: str = "",
        event_type: str | None = None,
        severity: AuditSeverity | None = None,
        machine: str | None = None,
        since: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditPage:
        """Search the trail, newest first."""

    @abstractmethod
    async def sessions(self) -> Sequence[tuple[str, Session]]:
        """Machine and session of every conversation, the one used last first."""

    @abstractmethod
    async def health_log(self, limit: int = 50) -> Sequence[str]:
        """The newest lines of the health log, oldest first; empty when there is none."""
