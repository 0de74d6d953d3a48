"""The API's operations on orders, and what it refuses."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import anyio
import httpx
import pytest
from starlette.routing import BaseRoute

from galaxy_adapters.http_api import routes
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.order import Priority
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.factories import make_order, make_response
from tests.web_doubles import World, browser, stream

PROBLEM = "application/problem+json"


def _routes(world: World) -> list[BaseRoute]:
    return routes(
        world,
        world,
        world,
        version="1.2.3",
        now=lambda: world.now,
        look_every=timedelta(milliseconds=10),
    )


@pytest.fixture
def world() -> World:
    """What the API shows."""
    return World()


@pytest.fixture
def api(world: World) -> httpx.AsyncClient:
    """A program that asks it."""
    return browser(_routes(world))


def _problem(response: httpx.Response, status: int) -> str:
    """Check that it is problem details of that status; its sentence."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == PROBLEM
    content = response.json()
    assert content["status"] == status
    assert content["title"]
    detail: str = content["detail"]
    assert detail.endswith((".", ")")), detail
    return detail


# ---- handing in


async def test_new_order_is_created_and_can_be_fetched(
    world: World, api: httpx.AsyncClient
) -> None:
    """201 says where the order is found; there it stands as it was written."""
    response = await api.post(
        "/api/orders",
        json={
            "payload": "Echo hello",
            "from": "ci",
            "priority": "high",
            "x-team": [1, {"a": None}],
        },
    )
    assert response.status_code == 201
    content = response.json()
    assert response.headers["location"] == f"/api/orders/{content['order_id']}"
    assert (content["payload"], content["from"], content["priority"]) == (
        "Echo hello",
        "ci",
        "high",
    )
    assert content["state"] == "pending"
    assert content["members"]["x-team"] == [1, {"a": None}]
    again = await api.get(response.headers["location"])
    assert again.json() == content
    (found,) = world.orders.values()
    assert found.view.order.priority is Priority.HIGH


async def test_same_key_is_the_same_order(world: World, api: httpx.AsyncClient) -> None:
    """A caller that lost the answer sends again: 200, the same order, nothing twice."""
    first = await api.post(
        "/api/orders", json={"payload": "Once"}, headers={"Idempotency-Key": "abc"}
    )
    second = await api.post(
        "/api/orders", json={"payload": "Once"}, headers={"Idempotency-Key": '"abc"'}
    )
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["order_id"] == second.json()["order_id"]
    assert first.headers["location"] == second.headers["location"]
    assert len(world.orders) == 1


async def test_id_of_the_caller_is_kept(world: World, api: httpx.AsyncClient) -> None:
    """Ids may hold what addresses have to escape; the Location leads there all the same."""
    response = await api.post("/api/orders", json={"order_id": "änderung #1?", "payload": "x"})
    assert response.json()["order_id"] == "änderung #1?"
    assert (await api.get(response.headers["location"])).status_code == 200


@pytest.mark.parametrize(
    "members, word",
    [
        ({"payload": "x", "priority": "hgh"}, "high"),
        ({"payload": "x", "order_id": "../etc/passwd"}, "dot"),
        ({"payload": "x", "timeout_s": -1}, "timeout_s"),
        ({"payload": "x", "not_before": "soon"}, "not_before"),
        ({"payload": "x", "type": "notification"}, "galaxy-outbox"),
        ({"payload": "x", "media": [{"name": "a"}]}, "path or a url"),
        ({"payload": "x" * 10_001}, "10,001"),
        ({"payload": "   "}, "empty"),
        ({}, "empty"),
        ({"payload": ["x"]}, "a list"),
        ({"payload": "x", "acknowledged": True}, "answered before"),
    ],
)
async def test_refused_order_is_stored_nowhere(
    world: World, api: httpx.AsyncClient, members: dict[str, Any], word: str
) -> None:
    """422 names the fault; unlike a file, the caller is there to be told."""
    response = await api.post("/api/orders", json=members)
    assert word in _problem(response, 422)
    assert not world.orders


async def test_every_fault_is_named(api: httpx.AsyncClient) -> None:
    """Several faults are several sentences, so that nobody tries once for each."""
    response = await api.post("/api/orders", json={"payload": 1, "priority": "x", "after": [{}]})
    _problem(response, 422)
    assert len(response.json()["errors"]) == 3


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe\x00", b'{"a":' * 5000, b'{"payload": NaN}']
)
async def test_what_is_no_object_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    """Broken JSON is 400, whatever is broken about it."""
    response = await api.post(
        "/api/orders", content=body, headers={"content-type": "application/json"}
    )
    _problem(response, 400)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""],
)
async def test_other_media_types_are_refused(api: httpx.AsyncClient, kind: str) -> None:
    """A form of another site can be sent as text: only JSON is read."""
    headers = {"content-type": kind} if kind else {}
    response = await api.post("/api/orders", content=b'{"payload": "x"}', headers=headers)
    assert "application/json" in _problem(response, 415)


async def test_announced_size_is_refused_unread(api: httpx.AsyncClient) -> None:
    """Two gigabytes are refused before a byte of them is read."""
    read: list[bytes] = []

    async def body() -> Any:  # noqa: ANN401 - an async generator
        for piece in (b"x",):
            read.append(piece)
            yield piece

    response = await api.post(
        "/api/orders",
        content=body(),
        headers={"content-type": "application/json", "content-length": str(2 << 30)},
    )
    assert "1,000,000" in _problem(response, 413)
    assert not read


async def test_unannounced_size_is_refused(world: World, api: httpx.AsyncClient) -> None:
    """Nor is a body read to its end that says nothing of its size."""
    read = 0

    async def body() -> Any:  # noqa: ANN401 - an async generator
        nonlocal read
        for _ in range(1000):
            read += 100_000
            yield b" " * 100_000

    response = await api.post(
        "/api/orders", content=body(), headers={"content-type": "application/json"}
    )
    _problem(response, 413)
    assert not world.orders


@pytest.mark.parametrize("key", ["", "  ", '""', "a\tb", "x" * 256])
async def test_unusable_key_is_refused(api: httpx.AsyncClient, key: str) -> None:
    """A key that is dropped would be a promise broken; an empty header is as good as none."""
    response = await api.post(
        "/api/orders", json={"payload": "x"}, headers={"Idempotency-Key": key}
    )
    if key == "":
        assert response.status_code == 201
    else:
        _problem(response, 400)


async def test_two_keys_are_refused(api: httpx.AsyncClient) -> None:
    """Header and member that differ: nobody can know which is meant."""
    response = await api.post(
        "/api/orders",
        json={"payload": "x", "idempotency_key": "a"},
        headers={"Idempotency-Key": "b"},
    )
    _problem(response, 400)


async def test_unknown_machine_is_not_found(world: World, api: httpx.AsyncClient) -> None:
    """An order for nobody is not taken by somebody else."""
    response = await api.post("/api/orders", json={"payload": "x", "target": "mars"})
    assert "test" in _problem(response, 404)
    assert not world.orders


# ---- looking


async def test_list_narrows_by_machine_state_and_conversation(
    world: World, api: httpx.AsyncClient
) -> None:
    """Each filter counts, states may be several, the newest come first, answers stay out."""
    world.put(make_order(id="a", session="one"))
    world.put(make_order(id="b", session="two"), OrderState.RUNNING)
    world.put(make_order(id="c", session="two"), OrderState.FAILED, response=make_response())

    async def ids(query: str) -> list[str]:
        response = await api.get(f"/api/orders{query}")
        assert response.status_code == 200
        orders = response.json()["orders"]
        assert all(order["response"] is None for order in orders)
        return [order["order_id"] for order in orders]

    assert await ids("") == ["c", "b", "a"]
    assert await ids("?state=running&state=failed") == ["c", "b"]
    assert await ids("?state=pending,running") == ["b", "a"]
    assert await ids("?conversation=two&limit=1") == ["c"]
    assert await ids("?machine=test&state=pending") == ["a"]
    assert "test" in _problem(await api.get("/api/orders?machine=mars"), 404)


@pytest.mark.parametrize(
    "query, word",
    [
        ("state=happy", "pending"),
        ("limit=0", "1 to 500"),
        ("limit=501", "1 to 500"),
        ("limit=ten", "whole number"),
        ("limit=1_0", "whole number"),
        ("limit=%D9%A3", "whole number"),
        ("limit=1&limit=2", "once"),
        ("machine=" + "x" * 1001, "1,000"),
        ("machnie=test", "machine"),
    ],
)
async def test_odd_filters_are_refused(api: httpx.AsyncClient, query: str, word: str) -> None:
    """A filter that does not count would answer another question than was asked."""
    assert word in _problem(await api.get(f"/api/orders?{query}"), 400)


@pytest.mark.parametrize(
    "order_id", ["nobody", "..", ".hidden", "a%2Fb", "a%00b", "%FF", "x" * 181, "a%0Ab", "%5C"]
)
@pytest.mark.parametrize("tail", ["", "/wait", "/events", "/response"])
async def test_unknown_order_is_not_found(api: httpx.AsyncClient, order_id: str, tail: str) -> None:
    """Whatever stands in the path, it is looked up and never opened."""
    _problem(await api.get(f"/api/orders/{order_id}{tail}"), 404)


async def test_response_is_markdown(world: World, api: httpx.AsyncClient) -> None:
    """The answer as the agent wrote it, without anything around it."""
    text = "# Done\n\n---\n\n`x` ✓ \ud83d"
    world.put(make_order(id="a"), OrderState.SUCCEEDED, response=make_response(text=text))
    response = await api.get("/api/orders/a/response")
    assert response.headers["content-type"] == "text/markdown; charset=utf-8"
    assert response.text == text.replace("\ud83d", "?")
    assert (await api.get("/api/orders/a")).json()["response"]["text"] == text


async def test_response_is_not_found_before_the_end(world: World, api: httpx.AsyncClient) -> None:
    """404 says why there is none yet."""
    world.put(make_order(id="a"), OrderState.RUNNING)
    assert "running" in _problem(await api.get("/api/orders/a/response"), 404)


# ---- waiting


async def test_wait_answers_when_it_ends(world: World, api: httpx.AsyncClient) -> None:
    """A long poll comes back as soon as there is an end."""
    order = make_order(id="a")
    world.put(order, OrderState.RUNNING)
    answers: list[httpx.Response] = []

    async def wait() -> None:
        answers.append(await api.get("/api/orders/a/wait?seconds=60"))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            assert not answers
            world.put(order, OrderState.SUCCEEDED, response=make_response(text="Done."))
    assert answers[0].json()["response"]["text"] == "Done."


async def test_wait_gives_up_after_its_seconds(world: World, api: httpx.AsyncClient) -> None:
    """Then the order is answered as it stands."""
    world.put(make_order(id="a"), OrderState.RUNNING)
    response = await api.get("/api/orders/a/wait?seconds=0.01")
    assert response.json()["state"] == "running"
    assert world.done == [("wait", "0.01")]


@pytest.mark.parametrize("seconds", ["61", "-1", "nan", "inf", "1e9", "soon", ""])
async def test_wait_has_an_end(world: World, api: httpx.AsyncClient, seconds: str) -> None:
    """At most a minute: proxies cut what lasts longer."""
    world.put(make_order(id="a"), OrderState.RUNNING)
    assert "0 to 60" in _problem(await api.get(f"/api/orders/a/wait?seconds={seconds}"), 400)


# ---- events


async def test_events_tell_progress_text_and_end(world: World) -> None:
    """A watcher sees what changes, the text piece by piece, and the end as the last event."""
    order = make_order(id="a")
    world.put(order, OrderState.RUNNING)
    world.progress["a"] = Progress(order_id=order.id, text="Hel", tool="bash")
    async with stream(_routes(world), "/api/orders/a/events") as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        assert json.loads((await events.event())[1])["tool"] == "bash"
        assert json.loads((await events.event())[1]) == {"offset": 0, "text": "Hel"}
        world.progress["a"] = Progress(order_id=order.id, text="Hello", tool="bash")
        name, data = await events.event()
        assert (name, json.loads(data)) == ("text", {"offset": 3, "text": "lo"})
        world.progress["a"] = Progress(order_id=order.id, text="Help", tool=None)
        assert json.loads((await events.event())[1])["tool"] is None
        assert json.loads((await events.event())[1]) == {"offset": 3, "text": "p"}
        world.put(order, OrderState.SUCCEEDED, response=make_response(text="Help!"))
        name, data = await events.event()
        assert name == "ended"
        assert json.loads(data)["response"]["text"] == "Help!"
        await events.ends()


async def test_events_go_on_where_a_watcher_was(world: World) -> None:
    """Who comes back says the last event's id, and gets the rest of the text only."""
    order = make_order(id="a")
    world.put(order, OrderState.RUNNING)
    world.progress["a"] = Progress(order_id=order.id, text="Hello")
    headers = {"last-event-id": "3"}
    async with stream(_routes(world), "/api/orders/a/events", headers) as events:
        assert (await events.event())[0] == "progress"
        assert json.loads((await events.event())[1]) == {"offset": 3, "text": "lo"}


async def test_events_of_one_of_very_many(world: World) -> None:
    """Whether it still waits is asked of the order itself where the list is not fresh."""
    order = make_order(id="a")
    world.put(order)
    world.is_fresh = False
    async with stream(_routes(world), "/api/orders/a/events") as events:
        assert json.loads((await events.event())[1])["state"] == "pending"
        world.put(order, OrderState.RUNNING)
        assert json.loads((await events.event())[1])["state"] == "running"
        world.put(order, OrderState.SUCCEEDED)
        assert (await events.event())[0] == "ended"
        await events.ends()


async def test_events_of_an_ended_order_are_its_end(world: World) -> None:
    """Nobody waits for what is over."""
    world.put(make_order(id="a"), OrderState.FAILED)
    async with stream(_routes(world), "/api/orders/a/events") as events:
        assert (await events.event())[0] == "ended"
        await events.ends()


async def test_events_end_with_the_trouble(world: World) -> None:
    """A store that fails under a stream ends it with a problem, not in silence."""
    world.put(make_order(id="a"), OrderState.RUNNING)
    async with stream(_routes(world), "/api/orders/a/events") as events:
        await events.event()
        world.trouble = StorageUnavailable("The disk is gone.")
        name, data = await events.event()
        assert (name, json.loads(data)["status"]) == ("problem", 503)
        await events.ends()


# ---- doing


async def test_cancel_says_what_became_of_it(world: World, api: httpx.AsyncClient) -> None:
    """Over: 200.  Being stopped: 202.  Too late: 200, and says so.  Who did it is on record."""
    world.put(make_order(id="waits"))
    world.put(make_order(id="runs"), OrderState.RUNNING)
    for order_id, status, result, state in (
        ("waits", 200, "ended", "cancelled"),
        ("waits", 200, "already_ended", "cancelled"),
        ("runs", 202, "requested", "running"),
    ):
        response = await api.post(f"/api/orders/{order_id}/cancel")
        assert response.status_code == status
        content = response.json()
        assert (content["result"], content["order"]["state"]) == (result, state)
    assert world.done[0] == ("cancel", "waits", "api")


async def test_retry_makes_a_new_order(world: World, api: httpx.AsyncClient) -> None:
    """201 leads to the new order, which names the old one."""
    world.put(make_order(id="a"), OrderState.DEAD)
    response = await api.post("/api/orders/a/retry")
    assert response.status_code == 201
    content = response.json()
    assert content["retry_of"] == "a"
    assert response.headers["location"] == f"/api/orders/{content['order']['order_id']}"


async def test_retry_of_what_runs_is_a_conflict(world: World, api: httpx.AsyncClient) -> None:
    """Nothing is done twice because somebody was impatient."""
    world.put(make_order(id="a"), OrderState.RUNNING)
    _problem(await api.post("/api/orders/a/retry"), 409)
    assert not world.done


@pytest.mark.parametrize("deed", ["cancel", "retry"])
async def test_deed_on_unknown_order_is_not_found(api: httpx.AsyncClient, deed: str) -> None:
    """Misspelt ids do nothing."""
    _problem(await api.post(f"/api/orders/nobody/{deed}"), 404)


@pytest.mark.parametrize("retry_after, header", [(None, "5"), (timedelta(seconds=2.4), "2")])
async def test_store_that_refuses_is_503(
    world: World, api: httpx.AsyncClient, retry_after: timedelta | None, header: str
) -> None:
    """A passing failure says when to try again."""
    world.trouble = StorageUnavailable("The disk is full.", retry_after=retry_after)
    response = await api.post("/api/orders", json={"payload": "x"})
    assert "disk" in _problem(response, 503)
    assert response.headers["retry-after"] == header
