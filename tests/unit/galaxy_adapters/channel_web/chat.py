"""A chat with two people, spoken to over HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
from attrs import define, field

from galaxy_adapters._web import EventHub, ServerEvent, Site, WebAccess
from galaxy_adapters.channel_web import FOLDER, WebChannel, WebChannelConfig, routes
from galaxy_core.domain.message import Address
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink, MemoryNoteStore

_SALT = b"not secret"
HASHED = "$".join(
    [
        "scrypt$2$8$1",
        base64.b64encode(_SALT).decode(),
        base64.b64encode(hashlib.scrypt(b"x", salt=_SALT, n=2, r=8, p=1)).decode(),
    ]
)
"""A password that costs nothing to check."""
ANN = Address(channel="web", chat_id="ann/general")


@define(eq=False)
class Chat:
    """The channel, its site, and a browser for each person."""

    folder: Path
    config: WebChannelConfig = field(
        factory=lambda: WebChannelConfig(is_person={"ann", "ben"}.__contains__)
    )
    clock: ManualClock = field(factory=ManualClock, init=False)
    incidents: MemoryIncidentSink = field(factory=MemoryIncidentSink, init=False)
    channel: WebChannel = field(init=False)
    ann: httpx.AsyncClient = field(init=False)
    ben: httpx.AsyncClient = field(init=False)
    _open: AsyncExitStack = field(factory=AsyncExitStack, init=False)

    async def start(self) -> None:
        """Open everything (again)."""
        self.channel = WebChannel(self.folder, self.clock, self.incidents, self.config)
        await self._open.enter_async_context(self.channel)
        access = WebAccess(users={"ann": HASHED, "ben": HASHED}, token="t")
        site = Site(access, MemoryNoteStore(self.clock), self.clock, [FOLDER])
        app = site.application(routes(self.channel, site.pages))
        for name in ("ann", "ben"):
            cookie = await site.sessions.log_in(name, "x", "127.0.0.1")
            browser = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://127.0.0.1/chat/api",
                headers={"origin": "http://127.0.0.1"},
                cookies={"galaxy-session": cookie},
            )
            setattr(self, name, await self._open.enter_async_context(browser))
            assert (await browser.get("/conversations")).status_code == 200

    async def stop(self) -> None:
        """Close everything; what the process knew is gone."""
        await self._open.aclose()

    @property
    def hub(self) -> EventHub:
        """Where pages listen."""
        return self.channel.desk.hub


async def say(
    browser: httpx.AsyncClient, text: str, *, conversation: str = "general", key: str | None = None
) -> httpx.Response:
    """Send a message as the page does."""
    content = {"key": key or new_key(), "conversation": conversation, "text": text}
    return await browser.post("/messages", json=content)


async def history(browser: httpx.AsyncClient, conversation: str = "general") -> list[Any]:
    """All messages of a conversation."""
    answer = await browser.get(f"/conversations/{conversation}/messages", params={"limit": 200})
    assert answer.status_code == 200, answer.text
    found: list[Any] = answer.json()["messages"]
    return found


def new_key() -> str:
    """As the page makes one."""
    return str(uuid.uuid4())


def decoded(event: ServerEvent) -> tuple[str, Any]:
    """Name and data of an event."""
    lines = event.encoded.decode().splitlines()
    fields = dict(line.partition(": ")[::2] for line in lines if line)
    return fields["event"], json.loads(fields["data"])
