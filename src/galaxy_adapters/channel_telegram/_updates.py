"""One raw update -> what the gateway is told.

Our own reading of the JSON: what is unknown or strange is passed over, so that a newer Bot API
stops nothing.  Only a message without the few fields that it cannot do without is unreadable.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import evolve, frozen

from galaxy_adapters.channel_telegram._contents import (
    files_of,
    name_of,
    origin_of,
    quotes_of,
    said,
    words_of,
)
from galaxy_adapters.channel_telegram._grouping import is_forward
from galaxy_adapters.channel_telegram._json import Object, an_object, number, objects, text
from galaxy_core.domain.message import (
    ButtonPressed,
    Inbound,
    InboundMessage,
    Origin,
    Quote,
)

ALLOWED = ("message", "edited_message", "callback_query", "my_chat_member")
"""Kinds of update that Telegram is asked for."""

_COMMAND = re.compile(r"(?P<name>/[A-Za-z0-9_]{1,32})(?P<bot>@[A-Za-z0-9_]+)?(?=\s|$)")
_CALL = re.compile(r"(?P<bot>@[A-Za-z0-9_]+)[,:]?\s+(?=\S)")
_TELEGRAM_ITSELF = 777000
"""Sender of what Telegram copies from a channel to its group."""


class UnreadableUpdate(ValueError):
    """An update that lacks what every one of its kind has; says what, not what people wrote."""


@frozen(kw_only=True)
class Me:
    """Who the bot is."""

    id: int
    username: str

    def is_called(self, name: str) -> bool:
        """Whether `@name` is this bot."""
        return bool(self.username) and name.lower() == f"@{self.username}".lower()


@frozen(kw_only=True)
class Reading:
    """What every update is read with."""

    me: Me
    channel: str
    key: str
    received_at: datetime


def interpret(update: Object, reading: Reading) -> Inbound | None:
    """What an update tells; None when that is nothing for the gateway.

    Raises `UnreadableUpdate`, and nothing else, whatever the JSON.
    """
    if "message" in update:
        return _message(an_object(update["message"]), reading, is_edit=False)
    if "edited_message" in update:
        return _message(an_object(update["edited_message"]), reading, is_edit=True)
    if "callback_query" in update:
        return _press(an_object(update["callback_query"]), reading)
    return None


def _message(message: Object, reading: Reading, *, is_edit: bool) -> InboundMessage | None:
    chat = an_object(message.get("chat"))
    chat_id, own_id = number(chat.get("id")), number(message.get("message_id"))
    if chat_id is None or own_id is None:
        raise UnreadableUpdate("the message has no chat or no number")
    sent_at = _date(message)
    passes_on = is_forward(message)
    files = files_of(message)
    words = _words(message, reading.me)
    if not (words.text or files or passes_on):
        return None  # somebody joined, a topic was closed, ...
    quotes = quotes_of(message, reading.me.id)
    if passes_on:
        quotes = (Quote(text=said(message), author=origin_of(message)), *quotes)
        files = tuple(evolve(file, is_passed_on=True) for file in files)
    is_group = chat.get("type") != "private"
    sender_id, sender_name = _sender(message)
    return InboundMessage(
        key=reading.key,
        channel=reading.channel,
        chat_id=str(chat_id),
        topic=_topic(message, is_group=is_group),
        sender_id=sender_id,
        sender_name=sender_name,
        message_id=str(own_id),
        text="" if passes_on else words.text,
        sent_at=sent_at,
        files=files,
        quotes=quotes,
        reply_to=_reply_to(message),
        origin=_origin(message, chat),
        is_group=is_group,
        is_addressed=not is_group
        or _answers_us(message, reading.me)
        or (words.is_for_us and not passes_on),
        is_edit=is_edit,
    )


def _press(query: Object, reading: Reading) -> ButtonPressed | None:
    sender = an_object(query.get("from"))
    sender_id, press_id = number(sender.get("id")), text(query.get("id"))
    if sender_id is None or not press_id:
        raise UnreadableUpdate("the press has no person or no id")
    message = an_object(query.get("message"))
    chat = an_object(message.get("chat"))
    chat_id, message_id = number(chat.get("id")), number(message.get("message_id"))
    if chat_id is None:
        return None  # below a message that was sent through the bot elsewhere: none of ours
    is_group = chat.get("type") != "private"
    return ButtonPressed(
        key=reading.key,
        channel=reading.channel,
        chat_id=str(chat_id),
        topic=_topic(message, is_group=is_group),
        sender_id=str(sender_id),
        sender_name=name_of(sender),
        sent_at=reading.received_at,  # Telegram does not say when
        data=text(query.get("data")),
        press_id=press_id,
        message_id=None if message_id is None else str(message_id),
        is_group=is_group,
    )


def _date(message: Object) -> datetime:
    # An edit keeps the date of its message: by that, the order is found which it was.
    seconds = number(message.get("date"))
    if seconds is None:
        raise UnreadableUpdate("the message has no date")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise UnreadableUpdate("the message has an impossible date") from None


def _topic(message: Object, *, is_group: bool) -> str | None:
    # Groups without topics number their reply threads in the same field.
    thread = number(message.get("message_thread_id"))
    if thread is None or (is_group and message.get("is_topic_message") is not True):
        return None
    return str(thread)


def _sender(message: Object) -> tuple[str, str]:
    # Who writes in the name of a chat has a made-up person in `from`, the same for everybody.
    who = an_object(message.get("sender_chat")) or an_object(message.get("from"))
    sender_id = number(who.get("id"))
    if sender_id is None:
        raise UnreadableUpdate("the message has no sender")
    return str(sender_id), name_of(who)


def _origin(message: Object, chat: Object) -> Origin:
    sender, sender_chat = an_object(message.get("from")), an_object(message.get("sender_chat"))
    if "business_connection_id" in message or "sender_business_bot" in message:
        return Origin.BUSINESS
    if "guest_query_id" in message:
        return Origin.GUEST
    comes_from_channel = (
        chat.get("type") == "channel"
        or sender_chat.get("type") == "channel"
        or message.get("is_automatic_forward") is True
        or number(sender.get("id")) == _TELEGRAM_ITSELF
    )
    if comes_from_channel:
        return Origin.CHANNEL_POST
    if "sender_chat" in message:
        return Origin.ANONYMOUS_ADMIN
    # Only a plain `false` makes a person: everything else is nothing that Telegram says of one.
    if sender.get("is_bot") is not False or "via_bot" in message:
        return Origin.BOT
    return Origin.PERSON


def _reply_to(message: Object) -> str | None:
    answered = an_object(message.get("reply_to_message"))
    if "forum_topic_created" in answered:
        return None  # every message of a topic "answers" the one that opened it
    answered_id = number(answered.get("message_id"))
    return None if answered_id is None else str(answered_id)


def _answers_us(message: Object, me: Me) -> bool:
    answered = an_object(message.get("reply_to_message"))
    is_ours = number(an_object(answered.get("from")).get("id")) == me.id
    return is_ours and "forum_topic_created" not in answered


@frozen
class _Words:
    """Text of a message, without what only says that we are meant."""

    text: str
    is_for_us: bool


def _words(message: Object, me: Me) -> _Words:
    written = text(message.get("text")) or text(message.get("caption"))
    if not written:
        return _Words(words_of(message), is_for_us=False)
    entities = objects(message.get("entities")) or objects(message.get("caption_entities"))
    shown = _with_links(written, entities)
    command = _COMMAND.match(written)
    if command is not None and (command["bot"] is None or me.is_called(command["bot"])):
        return _Words(command["name"] + shown[command.end() :], is_for_us=True)
    call = _CALL.match(shown)
    if call is not None and me.is_called(call["bot"]):
        shown = shown[call.end() :]
    return _Words(shown, is_for_us=any(_is_mention(e, written, me) for e in entities))


def _is_mention(entity: Object, written: str, me: Me) -> bool:
    if entity.get("type") == "text_mention":
        return number(an_object(entity.get("user")).get("id")) == me.id
    return entity.get("type") == "mention" and me.is_called(_part(written, entity))


def _part(written: str, entity: Object) -> str:
    """The text that an entity marks; offsets count UTF-16 units."""
    units = written.encode("utf-16-le")
    start, length = number(entity.get("offset")), number(entity.get("length"))
    if start is None or length is None or start < 0 or length < 0:
        return ""
    return units[2 * start : 2 * (start + length)].decode("utf-16-le", "replace")


def _with_links(written: str, entities: Sequence[Object]) -> str:
    """The text, with the address behind each linked word after it: the agent sees no links."""
    links = []
    for entity in entities:
        start, length = number(entity.get("offset")), number(entity.get("length"))
        address = text(entity.get("url"))
        if entity.get("type") != "text_link" or not address or start is None or length is None:
            continue
        if start >= 0 and length >= 0 and _part(written, entity) != address:
            links.append((start + length, address))
    units = written.encode("utf-16-le")
    for end, address in sorted(links, reverse=True):
        units = units[: 2 * end] + f" ({address})".encode("utf-16-le") + units[2 * end :]
    return units.decode("utf-16-le", "replace")
