"""What people do on the pages, and what reaches them while they look."""

from __future__ import annotations

import json
from datetime import timedelta

import anyio
import pytest
from anyio.lowlevel import checkpoint
from attrs import evolve

from galaxy_adapters.dashboard.board import Board, Piece
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.factories import make_order, make_response, make_session
from tests.unit.galaxy_adapters.dashboard.support import open_dashboard
from tests.web_doubles import World, stream
from tests.web_scene import busy_world

SECOND = timedelta(seconds=1)


async def test_cancel_goes_back_to_the_order_as_it_is_now() -> None:
    """The page says what became of it and shows it at once, without any script."""
    world = World()
    world.put(make_order(id="one"))
    dashboard = await open_dashboard(world)
    assert ">waiting<" in await dashboard.page("/orders/one")
    response = await dashboard.press("/orders/one/cancel")
    assert (response.status_code, response.headers["location"]) == (303, "/orders/one?said=ended")
    assert world.done == [("cancel", "one", "web:owner")]
    html = await dashboard.page(response.headers["location"])
    assert "The order is cancelled." in html
    assert ">cancelled<" in html


async def test_retry_leads_to_the_new_order() -> None:
    """Requeueing a dead letter makes a new order and shows that."""
    world = World()
    world.put(make_order(id="a b#1"), OrderState.DEAD)
    dashboard = await open_dashboard(world)
    response = await dashboard.press("/orders/a%20b%231/retry")
    assert response.headers["location"] == "/orders/a%20b%231-2?said=retried"
    assert "This is the new order" in await dashboard.page(response.headers["location"])


async def test_retry_of_what_succeeded_is_refused_in_words() -> None:
    """A button of a page that is out of date does no harm."""
    world = World()
    world.put(make_order(id="one"), OrderState.SUCCEEDED)
    response = await (await open_dashboard(world)).press("/orders/one/retry")
    assert response.status_code == 409
    assert "nothing to be retried" in response.text
    assert not world.done


@pytest.mark.parametrize("key", ["telegram:1", "web:anna/first steps", "a?b&c=#d%", "/reset"])
async def test_session_is_forgotten_by_its_button(key: str) -> None:
    """The address of the button on the page leads to that very conversation, whatever its name."""
    world = World()
    world.threads = [("test", make_session(conversation=key))]
    dashboard = await open_dashboard(world)
    html = await dashboard.page("/")
    action = html.split('action="/sessions/')[1].split('"')[0].replace("&amp;", "&")
    response = await dashboard.press(f"/sessions/{action}")
    assert response.headers["location"] == "/?said=reset"
    assert world.done == [("reset", key, "test")]
    assert (await dashboard.press(f"/sessions/{action}")).headers["location"] == (
        "/?said=no-session"
    )


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:5001", None])
@pytest.mark.parametrize("path", ["/orders/one/cancel", "/orders/one/retry", "/sessions/x/reset"])
async def test_other_sites_press_no_buttons(path: str, origin: str | None) -> None:
    """A form of another site, or one that hides where it comes from, does nothing."""
    world = World()
    world.put(make_order(id="one"), OrderState.DEAD)
    dashboard = await open_dashboard(world)
    headers = {"origin": origin} if origin else {}
    response = await dashboard.client.post(path, headers=headers)
    assert response.status_code == 403
    assert not world.done


@pytest.mark.parametrize("path", ["/orders/one/cancel", "/orders/one/retry", "/sessions/x/reset"])
async def test_deeds_are_not_done_by_looking(path: str) -> None:
    """A link, a prefetch or a picture never cancels anything."""
    world = World()
    world.put(make_order(id="one"))
    dashboard = await open_dashboard(world)
    assert (await dashboard.client.get(path)).status_code == 405
    assert not world.done


async def test_page_says_only_sentences_of_its_own() -> None:
    """What stands in an address is not put into anybody's mouth."""
    html = await (await open_dashboard(World())).page("/?said=You+were+hacked")
    assert "hacked" not in html


# ---- live


async def _piece(events: object) -> tuple[str, str]:
    name, data = await events.event()  # type: ignore[attr-defined]  # Streamed
    assert name == "piece"
    content = json.loads(data)
    return content["id"], content["html"]


async def test_stream_sends_what_has_changed() -> None:
    """First everything, since the page may be old; then only the pieces that differ."""
    world = busy_world()
    dashboard = await open_dashboard(world)
    async with stream(dashboard.app, "/events?range=hour", {"cookie": dashboard.cookie}) as events:
        assert events.status == 200
        first = dict([await _piece(events) for _ in range(11)])
        assert set(first) == {
            "health", "figures", "running", "queue", "machines", "charts", "recent", "dead",
            "alerts", "sessions", "log",
        }  # fmt: skip
        world.progress["run-1"] = evolve(world.progress["run-1"], tool="git status")
        name, html = await _piece(events)
        assert name == "running"
        assert "git status" in html


async def test_stream_of_an_order_follows_it_to_its_end() -> None:
    """Progress, then the answer: the page needs no reload."""
    world = busy_world()
    dashboard = await open_dashboard(world)
    async with stream(dashboard.app, "/events?order=run-2", {"cookie": dashboard.cookie}) as events:
        first = dict([await _piece(events) for _ in range(4)])
        assert "rm -rf build/" in first["progress"]
        found = world.orders[OrderId("run-2")]
        world.put(found.view.order, OrderState.SUCCEEDED, response=make_response(text="*Done*"))
        last = dict([await _piece(events) for _ in range(3)])
        assert "<em>Done</em>" in last["response"]
        assert last["progress"].strip() == ""
        assert ">succeeded<" in last["order"]


async def test_stream_of_no_order_is_not_found() -> None:
    """A browser does not come back again and again for what is not there."""
    dashboard = await open_dashboard(World())
    async with stream(dashboard.app, "/events?order=x", {"cookie": dashboard.cookie}) as events:
        assert events.status == 404


async def test_times_that_go_on_are_no_news() -> None:
    """The script moves clocks by itself: two looks that differ in these only are the same."""
    html = '<time datetime="2026-02-02T12:00:00Z" data-since>{}</time> {}'
    assert (
        Piece.of("a", html.format("1 s", "x")).mark == Piece.of("a", html.format("2 s", "x")).mark
    )
    assert (
        Piece.of("a", html.format("1 s", "x")).mark != Piece.of("a", html.format("1 s", "y")).mark
    )


async def test_watchers_share_their_looks() -> None:
    """Two hundred open pages read the stores once a second, not two hundred times."""
    looks = 0

    async def render() -> list[Piece]:
        nonlocal looks
        looks += 1
        await checkpoint()
        return [Piece.of("a", "x")]

    board = Board()
    async with anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(board.get, "key", SECOND, render)
    assert looks == 1
    board.forget("key")
    await board.get("key", SECOND, render)
    assert looks == 2


async def test_failed_look_is_not_kept() -> None:
    """A store that refused once is asked again by whoever comes next."""
    world = World()
    dashboard = await open_dashboard(world)
    world.trouble = StorageUnavailable("The disk is gone.")
    await dashboard.page("/", 503)
    world.trouble = None
    await dashboard.page("/")
