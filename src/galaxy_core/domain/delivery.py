"""One claimed attempt at an order, and what is written down before the agent hears of it."""

from __future__ import annotations

import enum
from datetime import datetime

from attrs import field, frozen

from galaxy_core.domain.ids import LeaseToken, OrderId
from galaxy_core.domain.order import EMPTY, JSONObject, Order
from galaxy_core.domain.response import Ending


@frozen(kw_only=True)
class Delivery:
    """An order in the hands of one worker, under a lease."""

    order: Order
    attempt: int
    """1-based; counts every claim, also those whose worker died before it did anything."""
    token: LeaseToken
    claimed_at: datetime
    failures: int = 0
    """How many of the attempts before this one failed and were given back as such; the others
    were cut short by the death of their worker, which says nothing about how long to wait."""
    is_redelivered: bool = False
    """Whether it was in somebody's hands before, counted as an attempt or not."""


class TicketKind(enum.StrEnum):
    """Why a message is going to be sent to the agent."""

    PROMPT = "prompt"
    """The order itself."""
    CONTINUATION = "continuation"
    """"Go on" after a run that broke off: the order itself is never sent a second time."""


@frozen(kw_only=True)
class Ticket:
    """Where a message will be found at the agent, decided before it is sent.

    Written into the run journal (synced) before the agent is called, so that after any crash
    the agent can be asked about exactly this message.
    """

    dispatcher: str
    session_id: str
    message_id: str
    attempt: int
    kind: TicketKind = TicketKind.PROMPT
    created_at: datetime | None = None
    is_session_replaced: bool = False
    """Whether the conversation's own session was lost and this one stands in for it."""
    data: JSONObject = field(default=EMPTY)
    """What this dispatcher wants to remember besides (a marker in the child's environment, ...)."""


class Finding(enum.StrEnum):
    """What the agent knows about a ticket's message."""

    UNKNOWN = "unknown"
    """It never arrived: sending it is safe."""
    RUNNING = "running"
    FINISHED = "finished"
    BROKEN_OFF = "broken_off"
    """It arrived, was worked on, and nobody works on it any more."""
    CANNOT_TELL = "cannot_tell"
    """This kind of agent cannot be asked."""


@frozen(kw_only=True)
class Settlement:
    """The decision how an order ends, written down before the response is committed."""

    order_id: OrderId
    ending: Ending
    text: str

    def outranks(self, other: Settlement | None) -> bool:
        """Whether this one stands, where `other` was written before it.

        The one of the later attempt does: a worker that lost its order may still write a
        decision before it finds out, and that must not stand in the way of the holder's.
        """
        return other is None or self.ending.attempts > other.ending.attempts


@frozen(kw_only=True)
class RunRecord:
    """All that was written down about the attempts at one order, oldest first."""

    tickets: tuple[Ticket, ...] = ()
    settlement: Settlement | None = None

    @property
    def last_ticket(self) -> Ticket | None:
        """The message that the agent has to be asked about; None when nothing was sent."""
        return self.tickets[-1] if self.tickets else None
