"""Letters on disk: a JSON object that anybody on the machine may have written.

A letter is read as generously as possible, since nobody is there to mend it: what is no known
word counts as the plainest one.  Only where guessing could show it to the wrong people, or where
there is nothing to show, is it refused as unreadable.
"""

from __future__ import annotations

from datetime import datetime

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.letter import (
    Button,
    Buttons,
    ButtonStyle,
    Letter,
    LetterFormat,
    Receipt,
    Severity,
)
from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.wire.fields import FieldReader, kind_of
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.overlay import Table, all_members, put_changes, time_writer
from galaxy_core.wire.times import write_time

__all__ = ["decode_letter", "encode_letter"]

_SEVERITIES = {
    **{severity.value: severity for severity in Severity},
    # Words that are no severities but were written: the first one in the original's own example.
    "high": Severity.ALERT,
    "error": Severity.ALERT,
    "warn": Severity.WARNING,
}
_FORMATS = {form.value: form for form in LetterFormat}
_STYLES = {style.value: style for style in ButtonStyle}
_MAX_DATA_BYTES = 64


def decode_letter(data: bytes, *, name: str) -> Letter:
    """Read a letter; `name` is its file's name without `.json`.

    Raises `UnreadableFile` with a sentence when it is not one JSON object, holds no message, or
    names its chat in a way that cannot be understood (without one it would go to everybody).
    """
    return _letter_from(read_object(data, name="The file"), name=name)


def encode_letter(letter: Letter, *, sent_at: datetime | None = None) -> bytes:
    """Write a letter: the object it was read from, with what is different by now.

    With `sent_at` it is marked as sent then.
    """
    members = dict(letter.wire)
    try:
        read = _letter_from(members, name=letter.name) if members else None
    except UnreadableFile:  # it was not read, but made with further members
        read = None
    if read is None:
        members |= {"type": "notification", **all_members(_MEMBERS, letter)}
    else:
        put_changes(members, _MEMBERS, read=read, value=letter, older_names=_OLDER_NAMES)
    if sent_at is not None:
        members["sent"] = True
        members["sent_at"] = write_time(sent_at)
    return write_object(members)


def _letter_from(wire: JSONObject, *, name: str) -> Letter:
    read = FieldReader(wire)
    message = _message(wire)
    chat_id = read.word("chat_id")
    if read.refusals:
        raise UnreadableFile(" ".join(read.refusals))
    severity = read.word("severity")
    form = read.word("format")
    return Letter(
        name=name,
        message=message,
        severity=_SEVERITIES.get((severity or "info").strip().casefold(), Severity.INFO),
        sender=read.word("from") or "",
        timestamp=read.time("timestamp"),
        order_id=read.word("order_id"),
        chat_id=chat_id,
        channel=read.word("channel"),
        topic=read.word("topic", "message_thread_id"),
        reply_to=read.word("reply_to"),
        order_payload=read.text("order_payload"),
        # Hand-written letters have always been HTML; an unknown markup is no markup.
        format=_FORMATS.get(form.casefold(), LetterFormat.PLAIN) if form else LetterFormat.HTML,
        files=_files(read),
        buttons=_read_buttons(read),
        is_sent=read.flag("sent"),
        receipts=tuple(r for item in read.items("receipts") if (r := _receipt(item)) is not None),
        wire=wire,
    )


def _message(wire: JSONObject) -> str:
    message = wire.get("message")
    if message is None:
        raise UnreadableFile("The letter has no `message`: write what people shall read there.")
    if isinstance(message, bool | list | dict):
        raise UnreadableFile(f"`message` is {kind_of(message)}: write a text.")
    return str(message)


def _files(read: FieldReader) -> tuple[str, ...]:
    paths = (item.get("path") if type(item) is dict else item for item in read.items("files"))
    return tuple(path for path in paths if type(path) is str and path)


def _read_buttons(read: FieldReader) -> Buttons:
    """Rows of buttons; a button by itself is a row, and what is none is left out."""
    rows = (
        tuple(button for each in (row if type(row) is list else [row]) if (button := _button(each)))
        for row in read.items("buttons")
    )
    return tuple(row for row in rows if row)


def _button(item: JSONValue) -> Button | None:
    if type(item) is not dict:
        return None
    read = FieldReader(item)
    text, data = read.word("text"), read.word("data")
    # Cut short, it would say something else.
    if text is None or data is None or len(data.encode(errors="replace")) > _MAX_DATA_BYTES:
        return None
    return Button(text, data, _STYLES.get(read.word("style") or "", ButtonStyle.PLAIN))


def _buttons(letter: Letter) -> JSONValue:
    return [
        [{"text": each.text, "data": each.data, "style": each.style.value} for each in row]
        for row in letter.buttons
    ] or None


def _receipt(item: JSONValue) -> Receipt | None:
    """Read a receipt; None for what is none, so that the part is rather sent again."""
    if type(item) is not dict:
        return None
    read = FieldReader(item)
    channel, chat_id, at = read.word("channel"), read.word("chat_id"), read.time("at")
    part = item.get("part", 1)
    if channel is None or chat_id is None or at is None or type(part) is not int:
        return None
    return Receipt(
        channel=channel,
        chat_id=chat_id,
        message_ids=tuple(str(message_id) for message_id in read.items("message_ids")),
        at=at,
        part=part,
        is_last=item.get("is_last") is not False,
    )


def _receipts(letter: Letter) -> JSONValue:
    return [
        {
            "channel": receipt.channel,
            "chat_id": receipt.chat_id,
            "message_ids": list(receipt.message_ids),
            "at": write_time(receipt.at),
            "part": receipt.part,
            "is_last": receipt.is_last,
        }
        for receipt in letter.receipts
    ] or None


_MEMBERS: Table = {
    "severity": ("severity", lambda letter: letter.severity.value),
    "from": ("sender", lambda letter: letter.sender),
    "message": ("message", lambda letter: letter.message),
    "timestamp": time_writer("timestamp"),
    "order_id": ("order_id", lambda letter: letter.order_id),
    "chat_id": ("chat_id", lambda letter: letter.chat_id),
    "channel": ("channel", lambda letter: letter.channel),
    "topic": ("topic", lambda letter: letter.topic),
    "reply_to": ("reply_to", lambda letter: letter.reply_to),
    "order_payload": ("order_payload", lambda letter: letter.order_payload),
    "format": ("format", lambda letter: letter.format.value),
    "files": ("files", lambda letter: list(letter.files) or None),
    "buttons": ("buttons", _buttons),
    "sent": ("is_sent", lambda letter: letter.is_sent),
    "receipts": ("receipts", _receipts),
}
_OLDER_NAMES = {"topic": "message_thread_id"}
