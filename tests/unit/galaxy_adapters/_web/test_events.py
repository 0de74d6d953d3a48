"""Server-sent events: numbered, bounded, ended in time; over a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import httpx
import pytest
from anyio.abc import TaskGroup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from galaxy_adapters._web import (
    CannotListen,
    EventHub,
    EventResponse,
    ServerEvent,
    address_of,
    last_event_id,
    serve,
)
from galaxy_adapters._web.events import Dropped
from galaxy_core.testing.clock import settle

pytestmark = pytest.mark.anyio

PROMPT_SECONDS = 10


class Source:
    """A hub, and what a page that comes late has missed."""

    def __init__(self, heartbeat_seconds: float = 60) -> None:
        self.hub = EventHub()
        self.missed: list[ServerEvent] = []
        self.heartbeat_seconds = heartbeat_seconds

    async def events(self, request: Request) -> Response:
        """Stream."""

        async def missed() -> list[ServerEvent]:
            return self.missed

        return EventResponse(self.hub, "topic", missed, heartbeat_seconds=self.heartbeat_seconds)


@asynccontextmanager
async def serving(source: Source) -> AsyncIterator[tuple[str, TaskGroup]]:
    """Serve until the block ends."""
    app = Starlette(routes=[Route("/", source.events)])
    async with anyio.create_task_group() as group:
        port = await group.start(serve, app, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{port}/", group
        group.cancel_scope.cancel()


@asynccontextmanager
async def listening(source: Source) -> AsyncIterator[httpx.Response]:
    """Serve, with one page that listens."""
    async with (
        serving(source) as (url, _),
        httpx.AsyncClient() as client,
        client.stream("GET", url) as answer,
    ):
        yield answer


async def until(condition: object) -> None:
    """Wait for something that another task brings about."""
    with anyio.fail_after(PROMPT_SECONDS):
        while not condition():  # type: ignore[operator]
            await anyio.lowlevel.checkpoint()


async def read_until(lines: AsyncIterator[str], end: str) -> list[str]:
    """Lines up to and with that one."""
    found: list[str] = []
    with anyio.fail_after(PROMPT_SECONDS):
        async for line in lines:
            found.append(line)
            if line == end:
                return found
    raise AssertionError(f"the stream ended after {found}")


def event(number: int | None, **data: str) -> ServerEvent:
    """An event."""
    return ServerEvent.of("thing", dict(data), number)


async def test_page_gets_what_it_missed_and_then_what_comes_once() -> None:
    """What is in the store and comes live too (it was stored in between) is given once."""
    source = Source()
    source.missed = [event(3), event(4)]
    async with listening(source) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        await read_until(lines, "id: 4")
        for number in (4, None, 5, 5):
            source.hub.publish("topic", event(number, text="a\nb"))
        source.hub.publish("other", event(9))
        source.hub.publish("topic", event(6))
        found = await read_until(lines, "id: 6")
        assert [line for line in found if line.startswith("id")] == ["id: 5", "id: 6"]
        assert found.count('data: {"text":"a\\nb"}') == 2


async def test_page_that_goes_is_forgotten() -> None:
    """Nothing is kept for who closed the page."""
    source = Source()
    async with serving(source) as (url, _), httpx.AsyncClient() as client:
        for _ in range(3):
            async with client.stream("GET", url) as answer:
                await read_until(answer.aiter_lines(), ": hello")
                assert source.hub.pages() == 1
            await until(lambda: source.hub.pages() == 0)


async def test_slow_page_is_dropped() -> None:
    """A page that does not read is cut off instead of being collected for; others go on."""
    source = Source()
    async with (
        serving(source) as (url, _),
        httpx.AsyncClient() as client,
        client.stream("GET", url) as slow,
        client.stream("GET", url) as quick,
    ):
        await read_until(slow.aiter_lines(), ": hello")
        lines = quick.aiter_lines()
        await read_until(lines, ": hello")
        assert source.hub.pages() == 2
        for number in range(1, 1000):
            source.hub.publish("topic", event(number, text="x" * 100_000))
            await read_until(lines, f"id: {number}")
            if source.hub.pages() == 1:
                break
        assert source.hub.pages() == 1
        source.hub.publish("topic", event(2000))
        await read_until(lines, "id: 2000")


async def test_quiet_stream_gives_signs_of_life() -> None:
    """Comments that browsers ignore keep proxies from cutting the connection."""
    source = Source(heartbeat_seconds=0.01)
    async with listening(source) as answer:
        lines = answer.aiter_lines()
        for _ in range(3):
            await read_until(lines, ": still here")


async def test_streams_end_when_the_server_stops() -> None:
    """An open page does not hold a stop up, and its stream ends as streams do."""
    source = Source()
    with anyio.fail_after(PROMPT_SECONDS):
        async with (
            httpx.AsyncClient() as client,
            serving(source) as (url, group),
            client.stream("GET", url) as answer,
        ):
            lines = answer.aiter_lines()
            await read_until(lines, ": hello")
            begun = anyio.current_time()
            group.cancel_scope.cancel()
    assert anyio.current_time() - begun < 2
    assert source.hub.pages() == 0


async def test_head_does_not_stream() -> None:
    """Who asks for the head only gets it, and the connection is free again."""
    source = Source()
    async with serving(source) as (url, _), httpx.AsyncClient() as client:
        assert (await client.head(url)).status_code == 200
        assert source.hub.pages() == 0


async def test_waiting_for_events_can_be_cancelled() -> None:
    """A cancelled wait loses nothing."""
    hub = EventHub()
    with hub.subscribe("topic") as page:
        with anyio.move_on_after(0):
            await page.next()
        hub.publish("topic", event(1))
        assert [e.number for e in await page.next()] == [1]
        hub.close()
        with pytest.raises(Dropped):
            await page.next()
    await settle()
    assert hub.pages() == 0


@pytest.mark.parametrize(
    "header,parameter,number",
    [("7", "3", 7), (None, "3", 3), ("x", "3", 3), (None, None, 0), ("-1", "²", 0), ("9" * 30, "", 0)],  # noqa: E501
)  # fmt: skip
def test_last_event_id(header: str | None, parameter: str | None, number: int) -> None:
    """A browser that comes back by itself knows better than the address it was given."""
    assert last_event_id(header, parameter) == number


async def test_taken_port_is_told_in_a_sentence() -> None:
    """With what to do about it."""
    source = Source()
    async with serving(source) as (url, _):
        port = int(url.rpartition(":")[2].strip("/"))
        with pytest.raises(CannotListen, match=r"another program has it.*--port"):
            await serve(Starlette(), "127.0.0.1", port)
        with pytest.raises(CannotListen, match="no such address"):
            await serve(Starlette(), "192.0.2.1", 0)
        with pytest.raises(CannotListen, match="no such address"):
            await serve(Starlette(), "nowhere.invalid", 0)


async def test_port_is_told_when_it_answers() -> None:
    """`on_ready` comes when requests are answered, not before."""
    ports: list[int] = []
    async with anyio.create_task_group() as group:
        port = await group.start(
            lambda task_status: serve(
                Starlette(), "127.0.0.1", 0, on_ready=ports.append, task_status=task_status
            )
        )
        assert ports == [port]
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 404
        group.cancel_scope.cancel()


@pytest.mark.parametrize(
    "host,address",
    [
        ("127.0.0.1", "http://127.0.0.1:5000/?key=k"),
        ("0.0.0.0", "http://127.0.0.1:5000/?key=k"),  # noqa: S104 - what is shown for it
        ("::1", "http://[::1]:5000/?key=k"),
    ],
)
def test_printed_address(host: str, address: str) -> None:
    """Something that can be clicked."""
    assert address_of(host, 5000, key="k") == address
