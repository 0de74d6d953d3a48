"""The order: what a person asked for, for which machine, in which conversation.

Values only.  How an order looks on disk is `galaxy_core.wire`; where it stands is `state`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeAlias

from attrs import field, frozen

from galaxy_core.domain.ids import ConversationKey, OrderId

JSONValue: TypeAlias = "bool | int | float | str | list[JSONValue] | dict[str, JSONValue] | None"
JSONObject: TypeAlias = Mapping[str, JSONValue]

EMPTY: JSONObject = MappingProxyType({})

DEFAULT_COMMAND = "general"
"""The `command` of an order that wants no agent in particular."""


class Priority(enum.IntEnum):
    """How urgent an order is; higher goes first between conversations, never inside one."""

    LOW = 0
    NORMAL = 1
    HIGH = 2
    URGENT = 3

    @property
    def word(self) -> str:
        """The word used in files: `low`, `normal`, `high`, `urgent`."""
        return self.name.lower()


@frozen
class Attachment:
    """One file that comes with an order: a path on the machine or an address, never both."""

    path: str | None = None
    url: str | None = None
    name: str | None = None
    mime: str | None = None


@frozen(kw_only=True)
class Order:
    """One thing that a person wants done.

    `wire` holds the JSON object as it was read, every field included, so that nothing which
    somebody else wrote is lost on the way to the archive; it is empty for an order made here
    and does not count in comparisons.
    """

    id: OrderId
    payload: str
    sender: str = ""
    """Who asked, as the file says it (`from`, older `sender_id`): for people, not for access."""
    person_id: str | None = None
    """Who asked, under the id that the channel gives them."""
    target: str | None = None
    """Machine asked for; None means the machine whose folder it lies in."""
    command: str = DEFAULT_COMMAND
    agent: str | None = None
    model: str | None = None
    timestamp: datetime | None = None
    """When it was written according to its writer, aware; None when the file does not say."""
    priority: Priority = Priority.NORMAL
    project: str | None = None
    media: tuple[Attachment, ...] = ()
    channel: str | None = None
    chat_id: str | None = None
    topic: str | None = None
    reply_to: str | None = None
    session: str | None = None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    timeout: timedelta | None = None
    idempotency_key: str | None = None
    after: tuple[OrderId, ...] = ()
    """Orders that must have succeeded before this one may begin."""
    refusals: tuple[str, ...] = ()
    """Why this order must be refused, one sentence each; empty for a good order."""
    wire: JSONObject = field(default=EMPTY, eq=False, repr=False)

    def conversation(self, machine: str) -> ConversationKey:
        """The conversation it belongs to: `session`, else channel and chat, else the machine's."""
        if self.session:
            return ConversationKey(self.session)
        if self.chat_id:
            parts = [self.channel or "chat", self.chat_id, *([self.topic] if self.topic else [])]
            return ConversationKey(":".join(parts))
        return ConversationKey(f"machine:{machine}")

    def is_for(self, names: frozenset[str]) -> bool:
        """Whether one of `names` (casefolded) is asked for; an order with no target is for all."""
        return not self.target or self.target.casefold() in names
