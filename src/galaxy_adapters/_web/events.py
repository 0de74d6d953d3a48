"""Server-sent events: numbered, with signs of life, to pages that may be slow.

A page that reads too slowly is dropped, not waited for and not collected for: it comes back by
itself, says the last number that it saw, and gets the rest from the store.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Self, TypeAlias

import anyio
from attrs import define, field, frozen
from starlette.types import Receive, Scope, Send

from galaxy_adapters._web.listening import HEARTBEAT_SECONDS, STILL_HERE, EventStream, Write
from galaxy_core.domain.order import JSONObject

__all__ = ["EventHub", "EventResponse", "ServerEvent", "Subscription", "last_event_id"]

_MOST_WAITING = 256
"""Events that may wait for one page."""


@frozen
class ServerEvent:
    """One event, encoded once for all pages."""

    encoded: bytes = field(repr=False)
    number: int | None = None
    """Its place in the store; None for what is over when it was seen."""

    @classmethod
    def of(cls, name: str, data: JSONObject, number: int | None = None) -> ServerEvent:
        """An event of that name."""
        lines = [] if number is None else [f"id: {number}"]
        # JSON has no line ends of its own; lone halves of characters become question marks.
        text = json.dumps(dict(data), ensure_ascii=False, separators=(",", ":"))
        lines += [f"event: {name}", f"data: {text}", "", ""]
        return cls("\n".join(lines).encode("utf-8", "replace"), number)


class Dropped(Exception):
    """The page was too slow, or everything ends."""


@define(eq=False)
class Subscription:
    """What one page gets from now on."""

    topic: str
    _hub: EventHub
    _waiting: deque[ServerEvent] = field(factory=deque, init=False)
    _bell: anyio.Event = field(factory=anyio.Event, init=False)
    dropped: anyio.Event = field(factory=anyio.Event, init=False)
    """Set when this page gets nothing any more."""

    async def next(self) -> Sequence[ServerEvent]:
        """All that has come since the last call; waits for it.  May be cancelled.

        Raises `Dropped`.
        """
        while not self._waiting:
            if self.dropped.is_set():
                raise Dropped
            await self._bell.wait()
        events = list(self._waiting)
        self._waiting.clear()
        if not self.dropped.is_set():
            self._bell = anyio.Event()
        return events

    def put(self, event: ServerEvent) -> None:
        """Have it wait for the page."""
        if len(self._waiting) >= _MOST_WAITING:
            self.drop()
            return
        self._waiting.append(event)
        self._bell.set()

    def drop(self) -> None:
        """Give this page nothing any more."""
        self._waiting.clear()
        self.dropped.set()
        self._bell.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._hub.leave(self)


@define(eq=False)
class EventHub:
    """Pages that listen, by topic."""

    _pages: dict[str, set[Subscription]] = field(factory=dict, init=False)

    def subscribe(self, topic: str) -> Subscription:
        """Listen from now on; use it as a context."""
        subscription = Subscription(topic, self)
        self._pages.setdefault(topic, set()).add(subscription)
        return subscription

    def leave(self, subscription: Subscription) -> None:
        """Listen no more.  Safe twice."""
        pages = self._pages.get(subscription.topic, set())
        pages.discard(subscription)
        if not pages:
            self._pages.pop(subscription.topic, None)

    def publish(self, topic: str, event: ServerEvent) -> None:
        """Give it to every page of the topic; never waits."""
        for subscription in tuple(self._pages.get(topic, ())):
            subscription.put(event)

    def pages(self, topic: str | None = None) -> int:
        """How many listen, to that topic or at all."""
        if topic is not None:
            return len(self._pages.get(topic, ()))
        return sum(len(pages) for pages in self._pages.values())

    def close(self) -> None:
        """End all streams."""
        for pages in tuple(self._pages.values()):
            for subscription in tuple(pages):
                subscription.drop()


Missed: TypeAlias = Callable[[], Awaitable[Iterable[ServerEvent]]]
"""Reads what the page has missed, after it has begun to listen."""


class EventResponse(EventStream):
    """A stream of events: first what was missed, then what comes; each numbered one once."""

    def __init__(
        self,
        hub: EventHub,
        topic: str,
        missed: Missed | None = None,
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__()
        self._hub = hub
        self._topic = topic
        self._missed = missed
        self._heartbeat = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the page goes, is too slow, or the server stops."""
        if scope["method"] == "HEAD":
            await self.begin(send)
        else:
            with self._hub.subscribe(self._topic) as page:
                async with self.listening(scope, receive, send, page.dropped) as write:
                    await self._stream(page, write)
        await self.end(send)

    async def _stream(self, page: Subscription, write: Write) -> None:
        seen = 0
        if self._missed is not None:
            seen = await _write_new(write, list(await self._missed()), seen)
        while True:
            try:
                with anyio.fail_after(self._heartbeat):
                    events = await page.next()
            except TimeoutError:
                await write(STILL_HERE)
            except Dropped:
                return
            else:
                seen = await _write_new(write, events, seen)


async def _write_new(write: Write, events: Sequence[ServerEvent], seen: int) -> int:
    """Write those whose number was not seen; the number that is seen now."""
    new = []
    for event in events:
        if event.number is None or event.number > seen:
            seen = event.number or seen
            new.append(event.encoded)
    if new:
        await write(b"".join(new))
    return seen


def last_event_id(header: str | None, parameter: str | None) -> int:
    """The last number that a page saw; 0 for none.

    The header comes from a browser that connects again by itself, and is newer than the address
    with the parameter.
    """
    for text in (header, parameter):
        if text and text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004 - 64 bits
            return int(text)
    return 0
