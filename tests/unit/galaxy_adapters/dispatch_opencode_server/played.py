"""An opencode that a test plays: its answers and its events, in this process."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx
from attrs import define, field

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_server import OpencodeServerDispatcher
from galaxy_adapters.dispatch_opencode_server.client import Endpoint, Json, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.ids import MessageIds
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.run import RunRequest
from galaxy_core.ports.clock import Clock
from galaxy_core.testing.factories import unique

SESSION = "ses_root"
Handler = Callable[[httpx.Request], "Awaitable[httpx.Response | None]"]


class _Stream(httpx.AsyncByteStream):
    def __init__(self, played: Played) -> None:
        self._played = played

    async def __aiter__(self) -> AsyncIterator[bytes]:
        send, events = anyio.create_memory_object_stream[bytes](10_000)
        self._played.streams.append(send)
        self._played.tell("server.connected")
        with send, events:
            async for event in events:
                yield event


@define
class Played:
    """State that a test sets, and what was asked of it.  A `Servers` that is always up."""

    directory: Path
    status: dict[str, Json] = field(factory=dict)
    messages: list[Json] = field(factory=list)
    children: list[Json] = field(factory=list)
    commands: list[Json] = field(factory=list)
    posts: list[tuple[str, Json]] = field(factory=list)
    """Path and body of every POST, oldest first."""
    clock: Clock = field(factory=SystemClock)
    """Of the dispatchers."""
    time: datetime | None = None
    """By the server's clock, which dates what is made now; None: it does not say."""
    special: Handler | None = None
    """Asked first; None from it leaves the answer to the rest."""
    streams: list[Any] = field(factory=list)
    _ids: MessageIds = field(factory=MessageIds)
    _client: OpencodeClient = field(init=False)

    def __attrs_post_init__(self) -> None:
        transport = httpx.MockTransport(self._respond)
        self._client = OpencodeClient(Endpoint("http://opencode.test"), transport=transport)

    # ---- Servers

    def client(self) -> OpencodeClient:
        """Give the one client there is."""
        return self._client

    async def connect(self) -> OpencodeClient:
        """Give the one client there is."""
        return self._client

    async def suspect(self) -> None:
        """Nothing is ever stuck."""

    def end_with_us(self) -> None:
        """There is nothing to end."""

    async def aclose(self) -> None:
        """Stay for the next dispatcher."""

    # ---- what the test does

    def close(self) -> None:
        """Give back the event streams."""
        for stream in self.streams:
            stream.close()

    @asynccontextmanager
    async def dispatcher(self) -> AsyncIterator[OpencodeServerDispatcher]:
        """Give a dispatcher that works with it."""
        async with OpencodeServerDispatcher(self, clock=self.clock) as dispatcher:
            yield dispatcher

    def request(self, prompt: str = "do it", *, command: str = "general") -> RunRequest:
        """Make a request."""
        return RunRequest(
            order_id=OrderId(unique("order")),
            prompt=prompt,
            directory=self.directory,
            command=command,
            title=prompt,
        )

    def tell(self, kind: str, **properties: object) -> None:
        """Send an event to whoever listens."""
        payload = {"type": kind, "properties": properties}
        data = json.dumps({"directory": str(self.directory), "payload": payload})
        for stream in [one for one in self.streams if one.statistics().open_receive_streams]:
            stream.send_nowait(f"data: {data}\n\n".encode())

    def put(self, role: str, text: str, identity: str | None = None, **info: object) -> str:
        """Store a message, without an event; an answer is a finished one."""
        now = SystemClock().now()
        # Later than the dispatcher's own, which may be of the same millisecond.
        identity = identity or self._ids.next(now + timedelta(seconds=1))
        moment = int(now.timestamp() * 1000)
        known = {"id": identity, "sessionID": SESSION, "role": role, "time": {"created": moment}}
        if role == "assistant":
            known |= {"finish": "stop", "time": {"created": moment, "completed": moment}}
        part = {"id": f"prt_{identity}", "type": "text", "text": text, "messageID": identity}
        self.messages.append({"info": known | info, "parts": [part]})
        return identity

    @property
    def paths(self) -> list[str]:
        """Where was posted to, oldest first."""
        return [path for path, _ in self.posts]

    # ---- HTTP

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        if self.special and (response := await self.special(request)) is not None:
            return response
        path = request.url.path
        if path == "/global/event":
            return httpx.Response(
                200, headers={"content-type": "text/event-stream"}, stream=_Stream(self)
            )
        if request.method == "POST":
            return self._take(path, json.loads(request.content or b"{}"))
        if found := re.fullmatch(r"/session/\w+/message/(\w+)", path):
            known = [one for one in self.messages if one["info"]["id"] == found[1]]
            return httpx.Response(200, json=known[0]) if known else httpx.Response(404)
        answers: dict[str, object] = {
            "/agent": [{"name": "build", "mode": "primary"}],
            "/command": self.commands,
            "/config": {},
            "/config/providers": {"providers": []},
            "/global/health": {"healthy": True, "version": "1.18.33"},
            "/session/status": self.status,
            f"/session/{SESSION}": {"id": SESSION, "directory": str(self.directory)},
            f"/session/{SESSION}/children": self.children,
            f"/session/{SESSION}/message": self.messages,
        }
        return httpx.Response(200, json=answers.get(path, []))

    def _take(self, path: str, body: Json) -> httpx.Response:
        self.posts.append((path, body))
        if path == "/session":
            time = {"created": self.time.timestamp() * 1000} if self.time else {}
            return httpx.Response(200, json={"id": SESSION, "time": time})
        if path.endswith("/prompt_async"):
            self.put("user", str(body["parts"][0].get("text")), body["messageID"])
            return httpx.Response(204)
        return httpx.Response(200, json=True)
