"""The chat's own application on a port, without a gateway: a test is the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TypeVar

import anyio
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal
from anyio.lowlevel import checkpoint

from galaxy_adapters._web import Site, WebAccess, serve
from galaxy_adapters.channel_web import FOLDER, WebChannel, WebChannelConfig, routes
from galaxy_adapters.clock_system import SystemClock
from galaxy_core.domain.letter import Buttons, Letter, LetterFormat
from galaxy_core.domain.message import Address, ButtonPressed, InboundMessage
from galaxy_core.domain.status import Card, Hint
from galaxy_core.testing.memory import MemoryIncidentSink, MemoryNoteStore

PATIENCE_SECONDS = 15
T = TypeVar("T")


class ChatSite:
    """Serves the page from another thread; every call here waits for its end."""

    def __init__(self, portal: BlockingPortal, folder: Path, *, is_demo: bool = False) -> None:
        self._portal = portal
        self._folder = folder
        self._is_demo = is_demo
        self._clock = SystemClock()
        self._notes = MemoryNoteStore(self._clock)
        self._served: Future[None] | None = None
        self._letters = 0
        self._port = 0
        self.channel: WebChannel
        self._site: Site

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serve; after a stop at the same port, from the same files."""
        self._served, self._port = self._portal.start_task(self._serve)

    async def _serve(self, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
        config = WebChannelConfig(is_demo=self._is_demo)
        self.channel = WebChannel(self._folder, self._clock, MemoryIncidentSink(), config)
        self._site = Site(WebAccess(), self._notes, self._clock, [FOLDER], is_demo=self._is_demo)
        app = self._site.application(routes(self.channel, self._site.pages))
        async with self.channel:
            await serve(app, "127.0.0.1", self._port, task_status=task_status)

    def stop(self) -> None:
        """Serve no more."""
        if self._served is not None:
            self._served.cancel()
            wait([self._served], PATIENCE_SECONDS)
            self._portal.call(checkpoint)
            self._served = None

    def address(self) -> str:
        """An address that lets a browser in, once."""
        key = self._call(self._site.sessions.new_key)
        return f"{self.url}/chat?key={key}"

    # ---- what the gateway does

    def hear(self) -> InboundMessage | ButtonPressed:
        """What was said or pressed next."""

        async def hear() -> InboundMessage | ButtonPressed:
            found = await self.channel.receive()
            await self.channel.confirm(found)
            return found

        return self._call(hear)

    def hears_nothing(self) -> bool:
        """Whether nothing else was said within a moment."""

        async def listen() -> bool:
            with anyio.move_on_after(0.3):
                await self.channel.receive()
                return False
            return True

        return self._call(listen)

    def say(
        self, text: str, address: Address, *, order_id: str | None = None, buttons: Buttons = ()
    ) -> None:
        """Deliver a letter."""
        self._letters += 1
        letter = Letter(
            name=f"letter-{self._letters}",
            message=text,
            format=LetterFormat.MARKDOWN,
            order_id=order_id,
            buttons=buttons,
        )
        self._call(lambda: self.channel.send(letter, address))

    def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        """Show a card, in place of another one."""
        return self._call(lambda: self.channel.show(card, address, message_id))

    def hint(self, hint: Hint, address: Address) -> None:
        """Give a passing hint."""
        self._call(lambda: self.channel.hint(hint, address))

    def _call(self, deed: Callable[[], Awaitable[T]]) -> T:
        async def in_time() -> T:
            with anyio.fail_after(PATIENCE_SECONDS):
                return await deed()

        return self._portal.call(in_time)
