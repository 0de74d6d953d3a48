"""What the server remembers: chats, messages as Telegram's JSON, files, updates, calls.

Plain values only, so that it can be written to a file and read again by the next process.
"""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

from attrs import Factory, define, field

Json = dict[str, Any]


@define
class Stored:
    """A message as everybody in the chat sees it now."""

    content: Json
    is_outgoing: bool
    """Sent by the bot."""
    files: tuple[str, ...] = ()
    """Ids of its files, the best version of each."""
    is_deleted: bool = False
    edits: int = 0


@define
class Chat:
    """A chat that the bot knows."""

    id: int
    kind: str
    """private, group, supergroup or channel."""
    title: str = ""
    is_forum: bool = False
    members: dict[int, str] = Factory(dict)
    """Ids of users and their status; the bot is among them."""
    topics: dict[int, Json] = Factory(dict)
    messages: dict[int, Stored] = Factory(dict)
    last_message_id: int = 0
    refusal: str = ""
    """Why the bot may not write here; empty while it may."""
    migrated_to: int | None = None
    drafts: dict[int, Json] = Factory(dict)
    actions: list[str] = Factory(list)


@define
class StoredFile:
    """A file on the server."""

    file_id: str
    unique_id: str
    kind: str
    name: str
    mime: str
    content: bytes
    size: int
    path: str
    is_link_given: bool = False
    """`getFile` was asked: until then nothing lies at `path`."""


@define
class Press:
    """A press of a button that waits for its answer."""

    id: str
    at: datetime
    is_answered: bool = False
    answer: Json = Factory(dict)


@define
class Call:
    """One call of the bot, as it came in and how it went."""

    method: str
    arguments: Json
    at: datetime
    status: int = 0
    """The HTTP status that was sent, 0 while or if none was."""
    answer: Json = Factory(dict)
    fault: str = ""
    took_effect: bool = False


@define
class Webhook:
    """Where updates are posted to."""

    url: str = ""
    secret: str = ""
    max_connections: int = 40
    last_error: str = ""
    last_error_at: int = 0


@define
class State:
    """Everything."""

    token: str
    bot: Json
    users: dict[int, Json] = Factory(dict)
    chats: dict[int, Chat] = Factory(dict)
    files: dict[str, StoredFile] = Factory(dict)
    presses: dict[str, Press] = Factory(dict)
    commands: dict[str, list[Json]] = Factory(dict)
    calls: list[Call] = Factory(list)
    updates: list[Json] = Factory(list)
    """Not confirmed yet."""
    confirmed: list[Json] = Factory(list)
    next_update_id: int = field(factory=lambda: random.randint(100_000_000, 900_000_000))  # noqa: S311 - no secret
    allowed_updates: list[str] | None = None
    webhook: Webhook = Factory(Webhook)
    box_message_id: int = 0
    """Private chats and basic groups share one row of message ids, as in a real account."""
    last_number: int = 1000
    is_logged_out: bool = False
    press_lives_seconds: float = 15.0
    """A press that is answered later is refused."""

    def number(self) -> int:
        """A number that was not used before."""
        self.last_number += 1
        return self.last_number
