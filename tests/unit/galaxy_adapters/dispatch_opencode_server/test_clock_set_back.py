"""The clock was set back: which session is gone on with, and what is an answer."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from galaxy_adapters._opencode.steady import is_ahead_by
from galaxy_adapters.dispatch_opencode_server.ids import MessageIds
from galaxy_adapters.dispatch_opencode_server.reuse import WAITED_OUT
from galaxy_core.domain.delivery import Finding, Ticket
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.run import Noticed, RunEnded, RunEvent, Verdict
from galaxy_core.domain.session import Session
from galaxy_core.testing.clock import ManualClock, settle
from tests.unit.galaxy_adapters.dispatch_opencode_server.played import (
    SESSION,
    Handler,
    Played,
)

pytestmark = pytest.mark.anyio

KNOWN = Session(conversation=ConversationKey("talk"), session_id=SESSION)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Played]:
    """Give an opencode that does nothing by itself, and a clock that a test moves."""
    made = Played(tmp_path.resolve(), clock=ManualClock())
    yield made
    made.close()


def put(
    played: Played,
    role: str,
    text: str,
    ago: timedelta,
    identity: str | None = None,
    **info: object,
) -> str:
    """Store a message that was made so long ago by Hermes' clock."""
    at = played.clock.now() - ago
    moment = int(at.timestamp() * 1000)
    time = {"created": moment} | ({"completed": moment} if role == "assistant" else {})
    identity = identity or MessageIds().next(at)
    return played.put(role, text, identity, time=time, **info)


async def prepared(played: Played) -> Ticket:
    """Prepare the next order of the conversation."""
    async with played.dispatcher() as dispatcher:
        return await dispatcher.prepare(played.request(), KNOWN, attempt=1)


async def test_session_goes_on_where_the_servers_clock_did_not_go_back(played: Played) -> None:
    """Ours is an hour behind it, and the message sorts after what is there all the same."""
    newest = put(played, "assistant", "done", -HOUR)
    played.time = played.clock.now() + HOUR + SECOND
    ticket = await prepared(played)
    assert not ticket.is_session_replaced
    assert ticket.message_id > newest
    assert ticket.created_at == played.clock.now()


async def test_short_step_is_waited_out(played: Played) -> None:
    """The agent would remember nothing in a new session."""
    put(played, "assistant", "done", -WAITED_OUT / 2)
    clock = played.clock
    assert isinstance(clock, ManualClock)
    played.time = clock.now()
    tickets: list[Ticket] = []

    async def prepare() -> None:
        tickets.append(await prepared(played))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(prepare)
        await settle(200)
        assert not tickets
        played.time += WAITED_OUT
        clock.advance(WAITED_OUT)
    assert not tickets[0].is_session_replaced
    assert is_ahead_by(tickets[0].message_id, clock.now()) <= timedelta(0)


@pytest.mark.parametrize("is_told", [True, False])
async def test_long_step_gets_a_new_session(played: Played, *, is_told: bool) -> None:
    """Nobody waits for an hour; a server that does not tell its time is taken to have ours."""
    put(played, "assistant", "done", -HOUR)
    played.time = played.clock.now() if is_told else None
    assert (await prepared(played)).is_session_replaced


async def test_usual_session_is_not_asked_for_the_time(played: Played) -> None:
    """It would be two calls more for each order."""
    put(played, "assistant", "done", SECOND)
    assert not (await prepared(played)).is_session_replaced
    assert "/session" not in played.paths


async def test_answer_that_lies_before_its_prompt_is_found(played: Played) -> None:
    """A Hermes that starts later takes the first one, whatever was said again after it."""
    theirs = put(played, "user", "something else", HOUR)
    put(played, "assistant", "of another", HOUR - SECOND, parentID=theirs)
    ours = put(played, "user", "do it", -HOUR)
    put(played, "assistant", "looking", -HOUR - SECOND, parentID=ours, finish="tool-calls")
    for number in range(3):
        ago = timedelta(minutes=5 - number)
        put(played, "assistant", f"answer {number}", ago, parentID=ours)
    played.messages.sort(key=lambda one: str(one["info"]["id"]))
    request = played.request()
    ticket = Ticket(
        dispatcher="opencode",
        session_id=SESSION,
        message_id=ours,
        attempt=1,
        data={"directory": str(played.directory)},
    )
    played.special = pages_of(played, 3)
    async with played.dispatcher() as dispatcher:
        assert await dispatcher.find(ticket) is Finding.FINISHED
        async with aclosing(dispatcher.run(request, ticket)) as events:
            told: list[RunEvent] = [event async for event in events]
    ended = told[-1]
    assert isinstance(ended, RunEnded)
    assert ended.verdict is Verdict.SUCCEEDED
    assert ended.text == "looking\n\nanswer 0"


def pages_of(played: Played, size: int) -> Handler:
    """Give the session's messages in pages of this size."""

    async def page(request: httpx.Request) -> httpx.Response | None:
        if request.url.path != f"/session/{SESSION}/message":
            return None
        end = int(request.url.params.get("before", len(played.messages)))
        start = max(0, end - size)
        headers = {"x-next-cursor": str(start)} if start else {}
        return httpx.Response(200, json=played.messages[start:end], headers=headers)

    return page


async def test_agent_that_lost_its_way_is_stopped(played: Played) -> None:
    """Before it asks the model again and again; people are told why."""
    request = played.request()
    told: list[RunEvent] = []
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        events = dispatcher.run(request, ticket)
        told.append(await anext(events))
        now = int(played.clock.now().timestamp() * 1000)
        ours = {"id": ticket.message_id, "sessionID": SESSION, "role": "user"}
        played.tell("message.updated", info={**ours, "time": {"created": now}})
        stray = put(played, "assistant", "a step", HOUR, parentID=ticket.message_id)
        played.messages[-1]["info"]["finish"] = "tool-calls"
        played.tell("message.updated", info=played.messages[-1]["info"])
        told += [event async for event in events]
    assert stray < ticket.message_id
    assert f"/session/{SESSION}/abort" in played.paths
    ended = told[-1]
    assert isinstance(ended, RunEnded)
    assert ended.verdict is Verdict.BROKEN_OFF
    assert ended.reason
    assert "set back" in ended.reason
    assert [event.message for event in told if isinstance(event, Noticed)] == [ended.reason]
