"""The web channel under the suite of its port, spoken to as the page does: over HTTP."""

# ruff: noqa: D102 - the suite's harness says what each method is for

import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from attrs import evolve

from galaxy_adapters._web import Site, WebAccess
from galaxy_adapters.channel_web import FOLDER, WebChannel, WebChannelConfig, routes
from galaxy_core.domain.letter import LetterFormat
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.contracts import ChannelContract, ChannelFeatures, ChannelHarness
from galaxy_core.testing.contracts.contract import overrides
from galaxy_core.testing.factories import make_letter
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink, MemoryNoteStore

CONVERSATION = "general"


class _Text(HTMLParser):
    """What a person reads of some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def shown_text(html: str) -> str:
    """The words of a message's HTML."""
    reader = _Text()
    reader.feed(html)
    reader.close()
    return "".join(reader.pieces)


class WebHarness(ChannelHarness):
    """The channel in a folder, and one browser that is logged in."""

    channel = "web"
    chat = f"owner/{CONVERSATION}"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._clock = ManualClock()
        self._notes = MemoryNoteStore(self._clock)
        self._people = {"owner"}
        self._open = AsyncExitStack()
        self._page: httpx.AsyncClient | None = None

    async def open(self) -> Channel:
        config = WebChannelConfig(is_person=lambda name: name in self._people)
        incidents = MemoryIncidentSink()
        channel = WebChannel(self._folder, self._clock, incidents, config)
        await self._open.enter_async_context(channel)
        site = Site(WebAccess(), self._notes, self._clock, [FOLDER])
        app = site.application(routes(channel, site.pages))
        cookie = await site.sessions.redeem(await site.sessions.new_key())
        self._page = await self._open.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://127.0.0.1",
                headers={"origin": "http://127.0.0.1"},
                cookies={"galaxy-session": cookie or ""},
            )
        )
        answer = await self._page.get("/chat/api/conversations")
        assert answer.status_code == 200, answer.text
        return channel

    def now(self) -> datetime:
        return self._clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self._clock.elapse(duration)

    async def restart(self) -> None:
        await self._open.aclose()

    async def say(self, text: str) -> None:
        await self._post(
            "/chat/api/messages", {"key": _key(), "conversation": CONVERSATION, "text": text}
        )

    async def texts(self) -> Sequence[str]:
        return [shown_text(message["html"]) for message in await self._ours()]

    async def press(self, data: str) -> None:
        message = next(
            message
            for message in reversed(await self._ours())
            if data in [b["data"] for row in message["buttons"] for b in row]
        )
        await self._post(
            "/chat/api/presses", {"key": _key(), "message_id": message["id"], "data": data}
        )

    async def buttons(self) -> Sequence[Sequence[str]]:
        return [
            [button["data"] for row in message["buttons"] for button in row]
            for message in await self._ours()
        ]

    async def send_file(self, name: str, content: bytes) -> None:
        assert self._page is not None
        answer = await self._page.post(
            "/chat/api/messages",
            data={"key": _key(), "conversation": CONVERSATION, "text": ""},
            files={"file": (name, content)},
        )
        assert answer.status_code == 202, answer.text

    async def files(self) -> Sequence[str]:
        return [file["name"] for message in await self._ours() for file in message["files"]]

    async def delete(self, message_id: str) -> None:
        database = sqlite3.connect(self._folder / "history.sqlite")
        database.execute("DELETE FROM messages WHERE id = ?", (int(message_id),))
        database.commit()
        database.close()

    async def make_unreachable(self) -> None:
        self._people.clear()

    async def _post(self, path: str, content: object) -> None:
        assert self._page is not None
        answer = await self._page.post(path, json=content)
        assert answer.status_code == 202, answer.text

    async def _ours(self) -> Sequence[dict[str, Any]]:
        assert self._page is not None
        path = f"/chat/api/conversations/{CONVERSATION}/messages?limit=200"
        answer = await self._page.get(path)
        assert answer.status_code == 200, answer.text
        return [m for m in answer.json()["messages"] if m["kind"] != "person"]


def _key() -> str:
    return str(uuid.uuid4())


class TestWebChannel(ChannelContract):
    """The page."""

    # A long letter is one message, and what was delivered is never in doubt: it is in the history.
    features: ClassVar[ChannelFeatures] = ChannelFeatures(
        has_outages=False, can_lose_answers=False, has_parts=False
    )

    @pytest.fixture
    async def harness(self, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WebHarness]:
        """Give an empty history."""
        harness = WebHarness(tmp_path_factory.mktemp("web"))
        yield harness
        await harness.restart()

    @overrides("the history knows whether a letter came before, so nobody has to be warned")
    async def test_repeat_is_marked(self, harness: ChannelHarness) -> None:
        """A letter that may have come before is shown once, whether it had come or not."""
        channel = await harness.open()
        letter = make_letter(message="hello", format=LetterFormat.PLAIN)
        first = await channel.send(letter, harness.address)
        again = await channel.send(letter, harness.address, is_repeat=True)
        assert again.message_ids == first.message_ids
        other = evolve(letter, name="another", message="never came")
        await channel.send(other, harness.address, is_repeat=True)
        assert [text.strip() for text in await harness.texts()] == ["hello", "never came"]
