"""Responses on disk: Markdown for people, from which programs get payload and reply back whole.

The form is the protocol's, to the byte.  Payload and reply are outside text and may hold anything,
also what looks like the form's own lines.  So an encoded response is read back on the spot: where
that does not give the same values, one HTML comment under the title says how long each of them is.
It stands before all outside text, on a line that is blank otherwise: nobody can forge it.
"""

from __future__ import annotations

import re
from datetime import datetime

from attrs import frozen

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Response
from galaxy_core.wire.response_older import parse_older
from galaxy_core.wire.times import read_time, write_time

__all__ = ["encode_response", "parse_response"]

_TITLE = "# Galaxy Order Response\n"
_RECEIVED = "\n**Order Received**: "
_MESSAGE = '\n**Message**: "'
_ACKNOWLEDGED = '"\n**Acknowledged By**: Hermes ('
_REPLY = ")\n\n---\n\n## Response\n\n"
_FOOTER = "\n\n---\n\n**Hermes** · "
_FINISHED = " · "

_COMMENT = re.compile(
    r"\A<!-- galaxy: timestamp=([0-9]{1,12}) message=([0-9]{1,12}) machine=([0-9]{1,12}) "
    r"reply=([0-9]{1,12})(?: surrogates=([0-9a-f:,]+))? -->\n"
)
_ODD = re.compile(r"([0-9a-f]{1,12}):(d[89a-f][0-9a-f]{2})")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@frozen
class _Parts:
    """The values of one response, as text."""

    timestamp: str
    message: str
    machine: str
    reply: str
    finished_at: str

    def compose(self) -> str:
        """All that follows the title and the comment."""
        head = f"{_RECEIVED}{self.timestamp}{_MESSAGE}{self.message}{_ACKNOWLEDGED}{self.machine}"
        end = f"{_FOOTER}{self.machine}{_FINISHED}{self.finished_at}\n"
        return f"{head}{_REPLY}{self.reply}{end}"


def encode_response(response: Response) -> bytes:
    """Write a response as Markdown in UTF-8; whatever its texts hold, the file is valid."""
    parts = _Parts(
        timestamp=response.order_timestamp,
        message=response.payload,
        machine=response.machine,
        reply=response.text,
        finished_at=write_time(response.finished_at),
    )
    body = parts.compose()
    if _SURROGATE.search(body) is None and _find_parts(body) == parts:
        return (_TITLE + body).encode()
    return (_TITLE + _comment(parts) + _SURROGATE.sub(_REPLACEMENT, body)).encode()


def parse_response(data: bytes, *, order_id: str, written_at: datetime) -> Response:
    """Read a response, of this form or an older one; any other text is a reply as a whole.

    `written_at` (the file's time) stands in where the text does not say when it was finished.
    Raises `UnreadableFile` for what is not text.
    """
    try:
        document = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFile(
            f"The response is not text in UTF-8 (at byte {error.start})."
        ) from None
    if document.startswith(_TITLE):
        rest = document.removeprefix(_TITLE)
        parts = _measured_parts(rest) or _find_parts(_COMMENT.sub("", rest, count=1))
        if parts is not None:
            return Response(
                order_id=OrderId(order_id),
                text=parts.reply,
                machine=parts.machine,
                finished_at=_time_or(parts.finished_at, written_at),
                payload=parts.message,
                order_timestamp=parts.timestamp,
            )
    older = parse_older(document)
    return Response(
        order_id=OrderId(order_id),
        text=older.reply,
        machine="",
        finished_at=_time_or(older.finished_at, written_at),
        payload=older.message,
        order_timestamp=older.timestamp,
    )


def _time_or(text: str, otherwise: datetime) -> datetime:
    try:
        return read_time(text) or otherwise
    except ValueError:
        return otherwise


def _find_parts(body: str) -> _Parts | None:
    """Find the values by the lines around them: head from the start, footer from the end.

    None when these lines are not there.
    """
    message = body.find(_MESSAGE)
    footer = body.rfind(_FOOTER)
    if not body.startswith(_RECEIVED) or message < 0 or footer < 0:
        return None
    machine, finished, finished_at = body[footer + len(_FOOTER) :].rpartition(_FINISHED)
    head = _ACKNOWLEDGED + machine + _REPLY
    acknowledged = body.find(head, message)
    if not finished or not 0 <= acknowledged <= footer - len(head):
        return None
    return _Parts(
        timestamp=body[len(_RECEIVED) : message],
        message=body[message + len(_MESSAGE) : acknowledged],
        machine=machine,
        reply=body[acknowledged + len(head) : footer],
        finished_at=finished_at.rstrip("\n"),
    )


# ---- the comment


def _comment(parts: _Parts) -> str:
    texts = (parts.timestamp, parts.message, parts.machine, parts.reply)
    sizes = "timestamp={} message={} machine={} reply={}".format(*map(len, texts))
    # UTF-8 has no lone surrogates: their places are kept here, counted through all four texts.
    odd = ",".join(
        f"{match.start():x}:{ord(match[0]):x}" for match in _SURROGATE.finditer("".join(texts))
    )
    return f"<!-- galaxy: {sizes}{f' surrogates={odd}' if odd else ''} -->\n"


def _measured_parts(rest: str) -> _Parts | None:
    """Cut the values out by the comment's lengths; None without one, or when they do not fit.

    They do not fit when somebody edited the file.
    """
    match = _COMMENT.match(rest)
    if match is None:
        return None
    body = rest[match.end() :]
    timestamp, message, machine, reply = (int(size) for size in match.groups()[:4])
    texts = []
    place = 0
    for prefix, size in (
        (_RECEIVED, timestamp),
        (_MESSAGE, message),
        (_ACKNOWLEDGED, machine),
        (_REPLY, reply),
    ):
        place += len(prefix)
        texts.append(body[place : place + size])
        place += size
    finished_at = body[place + len(_FOOTER) + machine + len(_FINISHED) :].removesuffix("\n")
    if _parts(texts, finished_at).compose() != body:
        return None
    return _parts(_with_surrogates(texts, match[5] or ""), finished_at)


def _parts(texts: list[str], finished_at: str) -> _Parts:
    timestamp, message, machine, reply = texts
    return _Parts(timestamp, message, machine, reply, finished_at)


def _with_surrogates(texts: list[str], odd: str) -> list[str]:
    letters = list("".join(texts))
    # The file may have been written by anyone: what is no surrogate's place is ignored.
    for match in _ODD.finditer(odd):
        if (place := int(match[1], 16)) < len(letters):
            letters[place] = chr(int(match[2], 16))
    found, start = [], 0
    for text in texts:
        found.append("".join(letters[start : start + len(text)]))
        start += len(text)
    return found
