"""The event stream's text: cut anywhere, and half of it duplicates."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from galaxy_adapters.dispatch_opencode_server.stream import decoded_events

pytestmark = pytest.mark.anyio


def event(payload: object, directory: str = "/project") -> dict[str, object]:
    """Make one in opencode's form."""
    return {"directory": directory, "project": "global", "payload": payload}


def encoded(content: object) -> bytes:
    """Write it as opencode does: without spaces, in UTF-8."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


SYNC = event({"type": "sync", "syncEvent": {"type": "message.updated.1"}})
TOOL = {"type": "tool", "state": {"input": {"payload": {"type": "sync"}}}}
KEPT = [
    {"payload": {"id": "evt_1", "type": "server.connected", "properties": {}}},
    event({"id": "evt_2", "type": "message.part.updated", "properties": {"part": TOOL}}),
    event({"type": "x", "properties": {"text": 'line\r\nend, "payload":{"type":"sync"'}}),
    event({"type": "zo\u00eb \U0001f680"}, directory='/a "payload":{"type":"sync" b'),
]


async def decode(*chunks: bytes) -> list[dict[str, Any]]:
    """Read a stream that arrives in these pieces."""

    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [one async for one in decoded_events(arriving())]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
async def test_pieces_of_any_size_give_the_same_events(size: int) -> None:
    """The network cuts where it likes, in the middle of a character too."""
    text = b"".join(encoded(each) for one in KEPT for each in (SYNC, one, SYNC))
    assert await decode(*(text[at : at + size] for at in range(0, len(text), size))) == KEPT


async def test_only_the_servers_own_duplicates_are_left_out() -> None:
    """What an agent writes may look like one."""
    assert await decode(*map(encoded, [SYNC, *KEPT, SYNC])) == KEPT


async def test_other_forms_of_the_same_stream_are_read() -> None:
    """Another line end, comments, other fields, an event in two lines, one that is cut off."""
    text = b': hi\r\n\r\nid: 1\r\ndata:{"a":\r\ndata: 1}\r\n\r\ndata: [1]\n\ndata: {"b"'
    assert await decode(text) == [{"a": 1}]


async def test_what_is_no_json_is_an_error() -> None:
    """The reader connects again, and reads what was missed."""
    with pytest.raises(ValueError, match="Expecting"):
        await decode(b"data: {torn\n\n")
