"""What a channel hands to the gateway: what people said and pressed, before it is an order."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TypeAlias

from attrs import frozen


@frozen(kw_only=True)
class Address:
    """A place where people read: a chat of a channel, perhaps one topic of it."""

    channel: str
    chat_id: str
    topic: str | None = None


class Origin(enum.StrEnum):
    """Who is behind a message: only people are listened to."""

    PERSON = "person"
    ANONYMOUS_ADMIN = "anonymous_admin"
    """Somebody who writes in the name of a group: nobody knows who."""
    CHANNEL_POST = "channel_post"
    """A post of a broadcast channel, or one that was copied from there."""
    BOT = "bot"
    """A program; also a message that was written through one."""
    GUEST = "guest"
    """Somebody who calls the bot from a chat that it is no member of."""
    BUSINESS = "business"
    """A customer of a business account that the bot works for."""


class FileKind(enum.StrEnum):
    """What a file is to the person who sent it."""

    PHOTO = "photo"
    DOCUMENT = "document"
    VOICE = "voice"
    """Spoken to the bot: becomes text where a transcriber is set up."""
    AUDIO = "audio"
    VIDEO = "video"


@frozen(kw_only=True)
class RemoteFile:
    """A file that lies at the channel and has not been fetched."""

    id: str
    """The channel's own name for it, good for `Channel.fetch`, also after a restart."""
    kind: FileKind
    name: str | None = None
    """As the sender calls it: not to be used as a path."""
    mime: str | None = None
    size: int | None = None
    """Bytes, where the channel says so before the file is fetched."""
    is_passed_on: bool = False
    """Whether it is somebody else's, which the person forwards."""


@frozen(kw_only=True)
class Quote:
    """Words of somebody else that a person passes on: data, never an order."""

    text: str
    author: str = ""
    """For people."""


@frozen(kw_only=True)
class InboundMessage:
    """One message of one person; parts that belong together have been put together.

    `key` is the channel's own name for it: the same key is the same message, also after a
    restart on either side.
    """

    key: str
    channel: str
    chat_id: str
    sender_id: str
    text: str
    sent_at: datetime
    topic: str | None = None
    message_id: str | None = None
    sender_name: str = ""
    """For people; two people may have the same."""
    files: tuple[RemoteFile, ...] = ()
    quotes: tuple[Quote, ...] = ()
    """What was forwarded with it.  A message that is nothing but a forward has no text."""
    reply_to: str | None = None
    """Id of the message that it answers."""
    origin: Origin = Origin.PERSON
    is_group: bool = False
    """Whether others read the chat."""
    is_addressed: bool = True
    """Whether it is meant for us: always in a private chat; in a group a command, a mention, or an
    answer to one of our messages."""
    is_edit: bool = False
    """Whether the person changed a message that had come before, under the same `message_id`."""

    @property
    def address(self) -> Address:
        """Where an answer goes."""
        return Address(channel=self.channel, chat_id=self.chat_id, topic=self.topic)


@frozen(kw_only=True)
class ButtonPressed:
    """A person pressed a button below one of our messages."""

    key: str
    channel: str
    chat_id: str
    sender_id: str
    sent_at: datetime
    data: str
    """What the button carries.  Comes from outside: it may be anything."""
    press_id: str
    """What `PressAnswered` answers."""
    topic: str | None = None
    message_id: str | None = None
    sender_name: str = ""
    is_group: bool = False

    @property
    def address(self) -> Address:
        """Where the message with the button is."""
        return Address(channel=self.channel, chat_id=self.chat_id, topic=self.topic)


Inbound: TypeAlias = InboundMessage | ButtonPressed
