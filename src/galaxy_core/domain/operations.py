"""What people see and say while orders wait, run and end.

Looking at orders needs none of a run's thirty events, so their module is not loaded for it.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from attrs import field, frozen

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending, Usage
from galaxy_core.domain.state import OrderState

if TYPE_CHECKING:
    from galaxy_core.domain.run import (
        Answer,
        PermissionRequested,
        QuestionAsked,
        RunEvent,
        Todo,
    )


@frozen(kw_only=True)
class OrderView:
    """An order as the catalogue shows it."""

    order: Order
    state: OrderState
    attempts: int = 0
    place: int | None = None
    """1-based place among the waiting orders of its conversation; None once it is claimed."""
    waits_until: datetime | None = None
    """When it may begin, if it waits for a time."""
    received_at: datetime | None = None
    ending: Ending | None = None
    """How it ended; None before it has."""
    is_decided: bool = False
    """Of one that was given up: whether somebody had it tried again, or dismissed it."""


@frozen(kw_only=True)
class CancelRequested:
    """A person wants an order to stop."""

    order_id: OrderId
    at: datetime
    by: str = ""
    reason: str = ""


class Cancellation(enum.StrEnum):
    """What became of a wish to cancel."""

    ENDED = "ended"
    """The order only waited; it is over and answered."""
    REQUESTED = "requested"
    """Somebody holds it, or an agent may work on it: Hermes will end it."""
    ALREADY_ENDED = "already_ended"


@frozen(kw_only=True)
class AnswerGiven:
    """A person answers a running order."""

    order_id: OrderId
    request_id: RequestId
    answer: Answer
    at: datetime
    by: str = ""


ControlCommand: TypeAlias = CancelRequested | AnswerGiven


@frozen(kw_only=True)
class ProgressItem:
    """One event of a running order, numbered from 1 in the order's own feed."""

    number: int
    at: datetime
    event: RunEvent


@frozen(kw_only=True)
class Progress:
    """Where a running order stands: the sum of its events so far."""

    order_id: OrderId
    started_at: datetime | None = None
    updated_at: datetime | None = None
    text: str = ""
    part: str | None = None
    """The piece of text that grows at the end of `text`, as `TextAppended.part` names it."""
    tool: str | None = None
    """What it is doing now, in one line; None between tools."""
    todos: tuple[Todo, ...] = ()
    steps: int = 0
    usage: Usage = field(factory=Usage)
    waiting_for: tuple[PermissionRequested | QuestionAsked, ...] = ()
    """Requests that nobody has answered yet."""
    note: str | None = None
    is_over: bool = False


@frozen(kw_only=True)
class ChannelSign:
    """How the gateway gets on with the other side of one channel."""

    name: str
    heard_at: datetime | None = None
    """When the other side answered us last; None: not yet."""
    trouble: str | None = None
    """In a word, why nothing comes in; None when all is well."""


@frozen(kw_only=True)
class Heartbeat:
    """What a daemon says of itself, every few seconds."""

    status: str
    """`running`, `draining` or `stopped`."""
    machine: str
    started_at: datetime
    last_heartbeat_at: datetime
    orders_processed: int = 0
    failure_count: int = 0
    running: tuple[str, ...] = ()
    session_id: str | None = None
    last_poll_at: datetime | None = None
    stopped_at: datetime | None = None
    pid: int | None = None
    version: str | None = None
    dispatcher: str | None = None
    daemon: str = "hermes"
    """`hermes`, or `gateway`, whose `machine` is its own name."""
    channels: tuple[ChannelSign, ...] = ()
    """The gateway's ways to people."""
    trouble: str | None = None
    """Why the gateway cannot write what it has to, in a sentence; None while it can."""
    agent_answers: bool | None = None
    """Whether Hermes' agent answered when it was asked last; None: it cannot be asked, or nobody
    has needed it so far."""

    @property
    def takes_orders(self) -> bool:
        """Whether this Hermes works and hands orders to an agent that is well, for all it knows."""
        return self.status == "running" and self.agent_answers is not False
