"""Updates are forgotten by a later poll with a higher offset and by nothing else."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import httpx
import pytest

from galaxy_core.testing.bot_api import BotApiServer, Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


def ids(updates: list[dict[str, Any]]) -> list[int]:
    """Their numbers."""
    return [update["update_id"] for update in updates]


@pytest.fixture
async def impatient() -> AsyncIterator[BotApiServer]:
    """A server whose polls end soon."""
    async with BotApiServer(longest_poll=timedelta(milliseconds=30)) as running:
        yield running


async def test_updates_come_again_until_confirmed(call: Caller, ann: Person) -> None:
    """Only a call with a higher offset confirms; numbers follow each other."""
    ann.writes("one")
    ann.writes("two")
    first, second = ids(await call.result("getUpdates"))
    assert second == first + 1
    assert ids(await call.result("getUpdates")) == [first, second]
    assert ids(await call.result("getUpdates", offset=first)) == [first, second]
    assert ids(await call.result("getUpdates", offset=second)) == [second]
    assert ids(await call.result("getUpdates")) == [second]
    assert await call.result("getUpdates", offset=second + 1) == []


async def test_a_negative_offset_keeps_the_newest(call: Caller, ann: Person) -> None:
    """-1 gives the last update and forgets those before it."""
    for number in range(4):
        ann.writes(f"message {number}")
    [update] = await call.result("getUpdates", offset=-1)
    assert update["message"]["text"] == "message 3"
    assert len(await call.result("getUpdates")) == 1


async def test_at_most_a_hundred_at_a_time(call: Caller, ann: Person) -> None:
    """`limit` counts from 1 to 100; what is outside is moved inside."""
    for number in range(103):
        ann.writes(str(number))
    assert len(await call.result("getUpdates")) == 100
    assert len(await call.result("getUpdates", limit=1000)) == 100
    assert len(await call.result("getUpdates", limit=0)) == 1
    assert len(await call.result("getUpdates", limit=7)) == 7


async def test_a_long_poll_ends_with_the_first_update(call: Caller, ann: Person) -> None:
    """A waiting poll is answered at once when something happens."""
    answers: list[Any] = []

    async def poll() -> None:
        answers.append(await call.result("getUpdates", timeout=50))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        await call.server.until(lambda: call.server.updates.is_waiting)
        ann.writes("there")
    [[update]] = answers
    assert update["message"]["text"] == "there"


async def test_a_poll_waits_no_longer_than_the_longest(
    impatient: BotApiServer, client: httpx.AsyncClient
) -> None:
    """Whatever `timeout` says, the server answers with nothing after its own longest wait."""
    assert await Caller(impatient, client).result("getUpdates", timeout=1000) == []


async def test_the_older_poll_meets_a_conflict(call: Caller, ann: Person) -> None:
    """A second poller throws the first one out, not itself."""
    refusals: list[Any] = []

    async def poll() -> None:
        refusals.append(await call("getUpdates", timeout=50))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        await call.server.until(lambda: call.server.updates.is_waiting)
        assert await call.result("getUpdates") == []
    assert refusals == [
        {
            "ok": False,
            "error_code": 409,
            "description": "Conflict: terminated by other getUpdates request; make sure that only"
            " one bot instance is running",
        }
    ]


async def test_an_answer_to_nobody_confirms_nothing(call: Caller, ann: Person) -> None:
    """A poller that died while it waited has lost nothing, and met no conflict."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(call, "getUpdates", timeout=50))
        await call.server.until(lambda: call.server.updates.is_waiting)
        tasks.cancel_scope.cancel()
    ann.writes("still here")
    [update] = await call.result("getUpdates")
    assert update["message"]["text"] == "still here"
    assert [one.status for one in call.server.calls("getUpdates")] == [0, 200]


async def test_only_wanted_kinds_arrive(call: Caller, ann: Person) -> None:
    """`allowed_updates` is remembered, and holds for what happens afterwards."""
    ann.writes("before")
    await call.result("getUpdates", allowed_updates=["callback_query"])
    ann.writes("after")
    assert [one["message"]["text"] for one in await call.result("getUpdates")] == ["before"]
    await call.result("getUpdates", allowed_updates=[])
    ann.writes("again")
    texts = [one["message"]["text"] for one in await call.result("getUpdates")]
    assert texts == ["before", "again"]


async def test_reactions_come_only_on_request(call: Caller, ann: Person) -> None:
    """Some kinds are not sent unless they are named."""
    message = ann.writes("nice")
    ann.reacts(message, "👍")
    assert len(await call.result("getUpdates", allowed_updates=["message_reaction"])) == 1
    ann.reacts(message, "👍")
    assert "message_reaction" in (await call.result("getUpdates"))[-1]


async def test_redelivery(call: Caller, ann: Person) -> None:
    """Confirmed updates can come again, in their order and under their numbers."""
    ann.writes("one")
    ann.writes("two")
    before = await call.result("getUpdates")
    await call.result("getUpdates", offset=before[-1]["update_id"] + 1)
    call.server.redeliver(2)
    assert await call.result("getUpdates") == before


@pytest.mark.parametrize("way", ["json", "form", "query", "multipart"])
async def test_arguments_in_every_form(call: Caller, ann: Person, way: str) -> None:
    """JSON, forms, multipart and the query are understood, with GET and POST."""
    url = call.url("SENDMESSAGE")  # names are compared without case
    given: dict[str, Any] = {"chat_id": str(ann.id), "text": "añ 🙂", "entities": "[]"}
    match way:
        case "json":
            response = await call.client.post(url, json=given)
        case "form":
            response = await call.client.post(url, data=given)
        case "query":
            response = await call.client.get(url, params=given)
        case _:
            parts = {name: (None, value) for name, value in given.items()}
            response = await call.client.post(url, files=parts)
    assert response.json()["ok"]
    assert call.server.texts(ann) == ["añ 🙂"]
    [made] = call.server.calls("sendMessage")
    assert (made.arguments["entities"], made.status, made.took_effect) == ([], 200, True)


async def test_unknown_methods_and_tokens(call: Caller) -> None:
    """404 for a method or a form of token that is none, 401 for another token."""
    assert (await call("getNothing"))["error_code"] == 404
    for token, status in (("123:other", 401), ("nonsense", 404)):
        response = await call.client.get(f"{call.server.base_url}{token}/getMe")
        assert (response.status_code, response.json()["ok"]) == (status, False)
    response = await call.client.post(call.url("sendMessage"), content="{", headers=_JSON)
    assert response.json()["description"] == "Bad Request: can't parse JSON object"


_JSON = {"content-type": "application/json"}


async def test_arguments_of_a_strange_form_are_reported(call: Caller, ann: Person) -> None:
    """The connection survives them."""
    message = {"chat_id": ann.id, "text": "a", "reply_markup": {"inline_keyboard": [[1]]}}
    assert "InlineKeyboardButton must be an Object" in await call.refusal("sendMessage", **message)
    answer = await call("setMyCommands", commands=[], scope={"type": ["chat"]})
    assert answer["error_code"] == 500


async def test_after_log_out_nothing_works(call: Caller) -> None:
    """A bot that logged out has to go elsewhere."""
    assert await call.result("logOut")
    assert (await call("getMe"))["description"] == "Logged out"
