"""What the server's answers mean to a caller."""

import json
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from galaxy_adapters.dispatch_opencode_server.client import (
    CallNotFound,
    Endpoint,
    OpencodeClient,
)
from galaxy_core.domain.errors import DispatcherUnavailable, DispatchRejected

pytestmark = pytest.mark.anyio

Answer = Callable[[httpx.Request], httpx.Response]


def client_of(answer: Answer) -> OpencodeClient:
    """Make a client of a server that answers so."""
    endpoint = Endpoint("http://opencode.test", "secret")
    return OpencodeClient(endpoint, transport=httpx.MockTransport(answer))


def always(status: int, content: object, kind: str = "application/json") -> Answer:
    """Answer everything alike."""
    body = content if isinstance(content, str) else json.dumps(content)
    return lambda _: httpx.Response(status, text=body, headers={"content-type": kind})


async def test_path_that_opencode_lacks_is_no_success() -> None:
    """It answers 200 with the page of its web interface, also to POST."""
    client = client_of(always(200, "<!doctype html>", "text/html;charset=UTF-8"))
    with pytest.raises(DispatcherUnavailable, match=r"has no POST /session/ses_1/prompt_async"):
        await client.prompt("ses_1", {})


@pytest.mark.parametrize(
    "status,content,error,sentence",
    [
        (401, "", DispatcherUnavailable, "refuses the password"),
        (404, {"name": "NotFoundError", "data": {"message": "gone"}}, CallNotFound, "gone"),
        (400, {"name": "BadRequest", "data": {"message": "no"}}, DispatchRejected, "no"),
        (500, {"data": {"message": "hm", "ref": "err_7"}}, DispatcherUnavailable, r"hm \(err_7\)"),
        (502, "proxy says no", DispatcherUnavailable, "proxy says no"),
        (200, "not JSON", DispatcherUnavailable, "not JSON"),
        (200, [1], DispatcherUnavailable, "something else"),
    ],
)
async def test_failures_say_what_the_caller_may_do(
    status: int, content: object, error: type[Exception], sentence: str
) -> None:
    """Again later, never, or with another session."""
    with pytest.raises(error, match=sentence):
        await client_of(always(status, content)).session("ses_1")


async def test_server_that_is_away_is_unavailable() -> None:
    """No matter how the connection fails."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    client = client_of(refuse)
    with pytest.raises(DispatcherUnavailable, match="refused"):
        await client.version()
    with pytest.raises(DispatcherUnavailable):
        async with client.events():
            pass


async def test_something_else_at_the_address_is_unavailable() -> None:
    """Another program's 404 is not an answer about a session."""
    with pytest.raises(DispatcherUnavailable, match="not opencode"):
        await client_of(always(404, "nothing here", "text/plain")).version()


async def test_folder_and_names_are_encoded() -> None:
    """A header must be ASCII, and a name from outside never changes the path."""
    seen: list[httpx.Request] = []

    def note(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    client = client_of(note)
    await client.permissions("/home/zoë/sub dir")
    await client.todos("../../global/dispose")
    assert seen[0].headers["x-opencode-directory"] == "/home/zo%C3%AB/sub%20dir"
    assert seen[1].url.raw_path == b"/session/..%2F..%2Fglobal%2Fdispose/todo"
    assert seen[0].headers["authorization"].startswith("Basic ")


async def test_events_are_read_until_the_stream_breaks() -> None:
    """A broken stream is an error for its reader, never a quiet end in the middle."""

    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b'data: {"payload": {"type": "server.connected"}}\n\n'
            raise httpx.ReadError("cut")

    def stream(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken(), headers={"content-type": "text/event-stream"})

    seen = []

    async def read() -> None:
        async with client_of(stream).events() as events:
            seen.append(await anext(events))
            seen.append(await anext(events))

    with pytest.raises(DispatcherUnavailable, match="cut"):
        await read()
    assert seen == [{"payload": {"type": "server.connected"}}]


async def test_password_is_not_shown() -> None:
    """Neither by the endpoint nor in an error."""
    assert "secret" not in repr(Endpoint("http://opencode.test", "secret"))
