"""What lies about after orders have ended, and which of it has to stay whatever its age."""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet
from datetime import datetime

from attrs import field, frozen

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import EMPTY, JSONObject


class OldKind(enum.StrEnum):
    """What can be tidied away.

    The trail says these words when something was, and a proof of completeness reads them there.
    """

    ORDERS = "orders"
    """Orders of the archive."""
    RESPONSES = "responses"
    LETTERS = "letters"
    """Letters that were sent."""
    FILES = "files"
    """Files that came or went with an order."""
    LEFTOVERS = "leftovers"
    """Feeds of runs that ended, journals that a crash left; keys and links to successors of orders
    that are not in the archive any more."""
    SESSIONS = "sessions"
    """Conversations that nobody has gone on with: the next word in one begins a new session."""
    NOTES = "notes"
    """Keys of what the gateway has dealt with."""
    WEB = "web"
    """Messages of the page's chat, and their files."""
    AUDIT = "audit"
    """Full parts of the audit trail: what is left of it can only be checked from there on."""


EVERYDAY = tuple(kind for kind in OldKind if kind is not OldKind.AUDIT)
"""Kinds that one age may be given for together; the trail has to be named by itself."""


@frozen(kw_only=True)
class Remnant:
    """One thing that is old enough."""

    kind: OldKind
    name: str
    """The name of file or folder, in a place that depends on the kind."""
    order_id: OrderId | None = None
    """The order that it belongs to, where it belongs to one."""
    letter: str | None = None
    """The letter's name, where it is one."""
    size: int = 0
    """In bytes."""
    is_unanswered: bool = False
    """Of an order: whether neither file nor response say that it ever was answered."""
    is_undecided: bool = False
    """Of an order: whether it was given up, and nobody has had it tried again."""


@frozen(kw_only=True)
class Ties:
    """What is not over, so that what belongs to it stays."""

    open_orders: AbstractSet[str] = field(default=frozenset())
    """Orders that wait or run."""
    open_letters: AbstractSet[str] = field(default=frozenset())
    """Names that the letters with their answers have, or are going to have."""
    needed_orders: AbstractSet[str] = field(default=frozenset())
    """Ended ones that an open order is to come after."""
    waiting_letters: AbstractSet[str] = field(default=frozenset())
    """Names of letters that nobody has yet, those that could not be delivered included."""
    mentioned: AbstractSet[str] = field(default=frozenset())
    """Orders whose files are named in an open order or a waiting letter."""


@frozen(kw_only=True)
class Pile:
    """How much there is of something."""

    count: int = 0
    size: int = 0
    """In bytes."""
    detail: JSONObject = field(default=EMPTY)
    """What the trail's line has to say beyond that."""

    def __add__(self, other: Pile) -> Pile:
        return Pile(count=self.count + other.count, size=self.size + other.size)


@frozen(kw_only=True)
class Tidied:
    """What was found of one kind."""

    kind: OldKind
    before: datetime
    """What is younger was not looked at."""
    old: Pile = Pile()
    """What may go, or went."""
    kept: Pile = Pile()
    """What is old enough and stays, since something that is not over needs it."""
