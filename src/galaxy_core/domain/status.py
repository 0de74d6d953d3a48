"""What a chat is shown besides letters: how orders get on, notices with buttons, passing hints."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

from attrs import frozen

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Buttons
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.state import OrderState


@frozen(kw_only=True)
class OrderStatus:
    """Where one order stands; the newest one replaces all before."""

    order_id: OrderId
    state: OrderState
    machine: str
    place: int | None = None
    """1-based place among the waiting orders of its conversation."""
    waits_until: datetime | None = None
    """When it may begin, if it waits for a time."""
    elapsed: timedelta | None = None
    """How long it has been running, or ran; None before it began."""
    progress: Progress | None = None
    buttons: Buttons = ()
    reply_to: str | None = None
    """Id of the message that asked for it."""


@frozen(kw_only=True)
class Notice:
    """A message of ours that changes: a question that was answered meanwhile."""

    text: str
    """Markdown."""
    buttons: Buttons = ()


Card: TypeAlias = OrderStatus | Notice


@frozen(kw_only=True)
class Typing:
    """We are at work: shown for a few seconds."""


@frozen(kw_only=True)
class Draft:
    """The answer as far as it is written; gone again when the answer comes."""

    order_id: OrderId
    text: str
    """Markdown, whole so far."""


@frozen(kw_only=True)
class PressAnswered:
    """What became of pressing a button."""

    press_id: str
    text: str = ""
    """Shown for a moment; at most 200 characters."""
    is_alert: bool = False
    """Whether the person has to close it."""


Hint: TypeAlias = Typing | Draft | PressAnswered


@frozen(kw_only=True)
class Rate:
    """How often a chat may be written to: a token bucket."""

    every: timedelta
    """Time after which one more message may go."""
    burst: int = 1
    """How many may go at once after a rest."""


@frozen(kw_only=True)
class Rates:
    """What a channel bears in the long run; None is no limit."""

    chat: Rate | None = None
    group: Rate | None = None
    """For a chat that several people read."""
    total: Rate | None = None
    """For all chats together."""
    edit_every: timedelta = timedelta(0)
    """Shortest time between two states of one card, in a private chat."""
    group_edit_every: timedelta = timedelta(0)
