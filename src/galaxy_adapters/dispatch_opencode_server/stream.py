"""The event stream's text, cut into events.

Half of what `opencode serve` sends are duplicates of another form (`sync`).  They are told by their
first words and never decoded: a busy server sends some hundred events a second.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

_END = b"\n\n"
_FIELD = b"data:"
_PAYLOAD = b'"payload":'
_DUPLICATE = b'{"type":"sync"'
LONGEST_EVENT = 64 << 20
"""Bytes of one event: an agent's longest message is far below, and memory must not run out."""


async def decoded_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Decode a stream of server-sent events; raises `ValueError` for one that is no JSON.

    Only their data counts: opencode uses no other field.
    """
    rest = bytearray()
    async for chunk in chunks:
        # A line may end with CR LF; within JSON neither stands as it is.
        text = chunk.replace(b"\r", b"") if b"\r" in chunk else chunk
        if rest:
            searched = len(rest) - 1
            rest += text
            if rest.find(_END, searched) < 0:
                if len(rest) > LONGEST_EVENT:
                    raise ValueError(f"an event has more than {LONGEST_EVENT:,} bytes")
                continue
            text = bytes(rest)
        *events, left = text.split(_END)
        rest = bytearray(left)
        for event in events:
            if not _is_duplicate(event) and (data := _data(event)):
                try:
                    decoded = json.loads(data.decode())
                except RecursionError:
                    raise ValueError("an event is nested too deeply") from None
                if isinstance(decoded, dict):
                    yield decoded


def _is_duplicate(event: bytes) -> bool:
    # What stands before the first payload are strings, in which a quote would be escaped: so it is
    # the event's own, and nothing that an agent wrote.
    place = event.find(_PAYLOAD)
    return event.startswith(_DUPLICATE, place + len(_PAYLOAD)) if place >= 0 else False


def _data(event: bytes) -> bytes:
    if b"\n" not in event:
        return event[len(_FIELD) :] if event.startswith(_FIELD) else b""
    lines = event.split(b"\n")
    return b"\n".join(line[len(_FIELD) :].strip() for line in lines if line.startswith(_FIELD))
