"""Whatever a server sends: it is understood, or passed over, and never ends a run or the reader."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_adapters._opencode.verdict import Aftermath, judge
from galaxy_adapters.dispatch_opencode_server import stream
from galaxy_adapters.dispatch_opencode_server.events import BusEvent
from galaxy_adapters.dispatch_opencode_server.stream import decoded_events
from galaxy_adapters.dispatch_opencode_server.turn import _RULES, Turn
from tests.unit.galaxy_core.wire.strategies import json_values, outside_bytes

SESSION, MESSAGE = "ses_root", "msg_1"
KEYS = (
    *("id", "sessionID", "messageID", "callID", "requestID", "type", "role", "text", "part"),
    *("info", "state", "status", "input", "output", "tool", "time", "start", "end", "delta"),
    *("error", "name", "data", "message", "tokens", "cache", "cost", "finish", "reason", "field"),
    *("todos", "content", "questions", "options", "label", "patterns", "permission", "metadata"),
    *("parentID", "parts", "synthetic", "attempt", "next", "reply", "answers", "partID", "title"),
)
leaves = json_values | st.sampled_from(
    [
        *(SESSION, MESSAGE, "msg_2", "text", "tool", "step-finish", "reasoning", "patch", "stop"),
        *("user", "assistant", "completed", "pending", "retry", "idle", "busy"),
        *(-1, 10**400, 1e300),
    ]
)
things = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(KEYS), things, max_size=6)
QUICK = settings(deadline=timedelta(seconds=2), max_examples=60)


@QUICK
@given(st.lists(st.tuples(st.sampled_from(sorted(_RULES)), objects), max_size=6))
def test_events_of_any_form(events: list[tuple[str, dict[str, Any]]]) -> None:
    """A run goes on after an event that nobody knows; nothing is concluded from its middle."""
    turn = Turn(SESSION, MESSAGE)
    for kind, properties in events:
        turn.feed(BusEvent(kind=kind, properties=properties, session=SESSION))


def test_an_unknown_form_makes_the_stream_doubtful() -> None:
    """What such an event would have told is read from the session at the end."""
    turn = Turn(SESSION, MESSAGE)
    strange = BusEvent(kind="message.part.updated", properties={"part": ["x"]}, session=SESSION)
    assert turn.feed(strange) == []
    assert turn.success() is None


@QUICK
@given(st.lists(things, max_size=4))
def test_sessions_of_any_form(read: list[Any]) -> None:
    """What is read from a session after a break may be anything too."""
    turn = Turn(SESSION, MESSAGE)
    turn.read(SESSION, read)
    turn.tear()
    turn.read(SESSION, read)


@QUICK
@given(st.lists(outside_bytes | st.sampled_from([b"data:", b"\n\n", b"\r", b"{}"]), max_size=6))
def test_streams_of_any_bytes(chunks: list[bytes]) -> None:
    """The stream yields objects or breaks with the one error that its reader knows."""

    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[object]:
        try:
            return [each async for each in decoded_events(arriving())]
        except ValueError:
            return []

    assert all(isinstance(each, dict) for each in anyio.run(read))


@pytest.mark.anyio
async def test_an_event_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never ends its event does not fill the memory."""
    monkeypatch.setattr(stream, "LONGEST_EVENT", 1_000)

    async def arriving() -> AsyncIterator[bytes]:
        for _ in range(1_000):
            yield b"data: " + b"x" * 100

    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        await anext(decoded_events(arriving()))


@pytest.mark.anyio
async def test_an_event_of_great_depth() -> None:
    """One that Python cannot read breaks the stream as broken JSON does."""
    deep = json.dumps("x").join(("[" * 200_000, "]" * 200_000)).encode()

    async def arriving() -> AsyncIterator[bytes]:
        yield b"data: " + deep + b"\n\n"

    with pytest.raises(ValueError, match="nested too deeply"):
        await anext(decoded_events(arriving()))


infos = st.dictionaries(
    st.sampled_from(["id", "role", "time", "finish", "error", "summary"]),
    things | st.sampled_from(["assistant", "stop", "tool-calls"]) | st.just({"completed": 1}),
)
messages = st.fixed_dictionaries({"info": infos, "parts": st.lists(objects, max_size=3)}) | things


@QUICK
@given(objects | st.none(), st.lists(messages, max_size=4), st.booleans())
def test_ends_of_any_form(
    error: dict[str, Any] | None,
    after: list[Any],
    is_cancelled: bool,  # noqa: FBT001 - hypothesis hands it in
) -> None:
    """Whatever came of it there, the run gets a verdict, a text and its costs."""
    aftermath = Aftermath(messages=tuple(after)).own()
    ended = judge(aftermath, bus_error=error, is_cancelled=is_cancelled)
    assert ended.verdict
    assert isinstance(aftermath.text, str)
    assert aftermath.usage.total_tokens >= 0
