"""Where timing, clocks and other people interfere; opencode is played by the test."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest
from attrs import evolve

from galaxy_adapters.dispatch_opencode_server import dispatcher as dispatcher_module
from galaxy_adapters.dispatch_opencode_server import run as run_module
from galaxy_adapters.dispatch_opencode_server.ids import MessageIds
from galaxy_core.domain.delivery import Finding, Ticket
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.run import (
    PermissionRequested,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    Verdict,
)
from galaxy_core.domain.session import Session
from tests.unit.galaxy_adapters.dispatch_opencode_server.played import SESSION, Played

pytestmark = pytest.mark.anyio

BUSY, IDLE = {"type": "busy"}, {"type": "idle"}
HOUR = timedelta(hours=1)


@pytest.fixture
async def played(tmp_path: Path) -> AsyncIterator[Played]:
    """Give an opencode that does nothing by itself."""
    made = Played(tmp_path.resolve())
    yield made
    made.close()


def answer(played: Played, text: str) -> None:
    """Finish the turn."""
    played.put("assistant", text)
    played.tell("session.status", sessionID=SESSION, status=BUSY)
    played.tell("session.idle", sessionID=SESSION)


async def test_event_stream_that_is_refused_ends_nobody(played: Played) -> None:
    """A proxy that lets health through and no events is an agent out of reach, no crash."""

    async def without_events(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(404) if request.url.path == "/global/event" else None

    played.special = without_events
    async with played.dispatcher() as dispatcher:
        with pytest.raises(DispatcherUnavailable):
            await dispatcher.prepare(played.request(), None, attempt=1)
        assert not (await dispatcher.check()).is_ready


@pytest.mark.parametrize("command", ["general", "greet"])
async def test_prompt_that_is_not_unicode_reaches_the_agent(played: Played, command: str) -> None:
    """JSON can carry half a character, UTF-8 cannot: it goes out as JSON's own escape."""
    played.commands = [{"name": "greet"}]
    prompt = "before \ud83d after"
    request = played.request(prompt, command=command)
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        async with aclosing(dispatcher.run(request, ticket)) as events:
            assert isinstance(await anext(events), RunStarted)
            while not played.paths[-1].endswith(("/prompt_async", "/command")):
                await anyio.lowlevel.checkpoint()  # a command is called beside the run
    assert prompt in json.dumps(played.posts[-1][1], ensure_ascii=False)


async def test_cancel_of_an_ended_order_leaves_the_next_one_alone(played: Played) -> None:
    """A session is shared by the orders of a conversation: stopping it stops the one that runs."""
    request = played.request()
    async with played.dispatcher() as dispatcher:
        first = await dispatcher.prepare(request, None, attempt=1)
        second = await dispatcher.prepare(request, None, attempt=1)
        assert first.session_id == second.session_id
        async with aclosing(dispatcher.run(request, second)) as events:
            assert isinstance(await anext(events), RunStarted)
            await dispatcher.cancel(first)
            assert f"/session/{SESSION}/abort" not in played.paths


async def test_idle_session_with_a_busy_sub_agent_is_over(played: Played) -> None:
    """After a break nobody tells of an end that is past: the sub-agent's is not waited for."""
    played.children = [{"id": "ses_child", "parentID": SESSION}]
    played.status = {"ses_child": BUSY}
    request = played.request()
    ticket = await sent(played, request)
    played.put("assistant", "done")
    async with played.dispatcher() as dispatcher:
        assert (await follow(dispatcher.run(request, ticket))).text == "done"


@pytest.mark.parametrize("ahead", [-HOUR, HOUR])
async def test_clock_that_jumped_does_not_hold_up_the_question(
    played: Played, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """How old a message is cannot be told by clocks that differ; nobody works on it: broken off."""
    for module in (run_module, dispatcher_module):
        monkeypatch.setattr(module, "SETTLED", timedelta(seconds=0.1))
    request = played.request()
    ticket = await sent(played, request)
    async with played.dispatcher() as dispatcher:
        created = played.messages[-1]["info"]["time"]
        created["created"] += int(ahead.total_seconds() * 1000)
        with anyio.fail_after(5):
            assert await dispatcher.find(ticket) is Finding.BROKEN_OFF
        ended = await follow(dispatcher.run(request, ticket))
    assert ended.verdict is Verdict.BROKEN_OFF


async def test_session_of_the_future_takes_no_message(played: Played) -> None:
    """The clock was set back under a run: its end does not say that the session can go on.

    opencode would ask the model again and again until the clock has caught up.
    """
    request = played.request()
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        # The one before ended well, which says nothing of what came after it.
        for ahead in (-HOUR, HOUR):
            ids, at = MessageIds(), datetime.now(UTC) + ahead
            ticket = evolve(ticket, message_id=ids.next(at))
            time = {"created": at.timestamp() * 1000, "completed": at.timestamp() * 1000}
            played.put("user", "do it", ticket.message_id, time=time)
            played.put("assistant", "done", ids.next(at), time=time)
            assert (await follow(dispatcher.run(request, ticket))).text == "done"
        known = Session(conversation=ConversationKey("talk"), session_id=SESSION)
        again = await dispatcher.prepare(request, known, attempt=2)
    assert again.is_session_replaced


async def test_session_that_is_gone_at_the_last_moment_is_replaced(played: Played) -> None:
    """Nothing was sent, so the next attempt may begin anew."""

    async def gone(asked: httpx.Request) -> httpx.Response | None:
        return httpx.Response(404) if asked.url.path.endswith("/prompt_async") else None

    request = played.request()
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        played.special = gone
        with pytest.raises(DispatcherUnavailable):
            await follow(dispatcher.run(request, ticket))


async def test_folder_by_another_name_keeps_its_session(played: Played, tmp_path: Path) -> None:
    """opencode calls a folder by its real name, also when it was asked for through a link."""
    link = tmp_path / "link"
    link.symlink_to(played.directory)
    request = evolve(played.request(), directory=link)
    session = Session(conversation=ConversationKey("c"), session_id=SESSION)
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, session, attempt=1)
    assert not ticket.is_session_replaced


async def test_resumed_sub_agent_is_heard(played: Played) -> None:
    """A sub-agent of an earlier order is not created again; its requests belong to this order."""
    request = played.request()
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        async with aclosing(dispatcher.run(request, ticket)) as events:
            assert isinstance(await anext(events), RunStarted)
            info = {"id": "ses_child", "parentID": SESSION}
            played.tell("session.updated", sessionID="ses_child", info=info)
            played.tell("permission.asked", sessionID="ses_child", id="per_1", permission="bash")
            answer(played, "done")
            told = [event async for event in events]
    assert any(isinstance(event, PermissionRequested) for event in told)


async def test_what_somebody_else_said_later_is_not_our_answer(played: Played) -> None:
    """A person may have gone on in the session while nobody followed it, and may still be."""
    request = played.request()
    ticket = await sent(played, request)
    async with played.dispatcher() as dispatcher:
        played.put("assistant", "ours")
        played.put("user", "a person's")
        played.put("assistant", "theirs", finish=None, time={"created": 1})
        played.status = {SESSION: BUSY}
        assert await dispatcher.find(ticket) is Finding.FINISHED
        ended = await follow(dispatcher.run(request, ticket))
    assert (ended.verdict, ended.text) == (Verdict.SUCCEEDED, "ours")


async def test_command_on_its_way_is_waited_for(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command's own shell lines run before its message is there; a break meanwhile is no end."""
    monkeypatch.setattr(run_module, "SETTLED", timedelta(0))
    played.commands = [{"name": "greet"}]
    request = played.request(command="greet")
    arrived, release = anyio.Event(), anyio.Event()

    async def slow(asked: httpx.Request) -> httpx.Response | None:
        if asked.url.path.endswith("/command") and asked.method == "POST":
            arrived.set()
            await release.wait()
            played.put("user", "greetings", json.loads(asked.content)["messageID"])
            answer(played, "hello")
        return None

    played.special = slow
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
        ended: list[RunEnded] = []

        async def run() -> None:
            ended.append(await follow(dispatcher.run(request, ticket)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await arrived.wait()
            played.tell("server.connected")
            await anyio.sleep(0.4)
            release.set()
    assert ended[0].text == "hello"


async def sent(played: Played, request: RunRequest) -> Ticket:
    """Have the message sent by a Hermes that dies over it."""
    async with played.dispatcher() as dispatcher:
        ticket = await dispatcher.prepare(request, None, attempt=1)
    played.put("user", request.prompt, ticket.message_id)
    return ticket


async def follow(events: AsyncIterator[RunEvent]) -> RunEnded:
    """Follow a run to its end."""
    with anyio.fail_after(5):
        told = [event async for event in events]
    assert isinstance(told[-1], RunEnded)
    return told[-1]
