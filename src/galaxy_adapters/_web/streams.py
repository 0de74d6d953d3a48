"""Streams of server-sent events that each watcher draws at its own pace.

`EventResponse` is for what is said once, to all who listen; this is for states, which are looked
at again and again: a watcher that is slow sees fewer of them, and nothing piles up for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio
from starlette.types import Receive, Scope, Send

from galaxy_adapters._web.events import ServerEvent
from galaxy_adapters._web.listening import HEARTBEAT_SECONDS, STILL_HERE, EventStream, Write

__all__ = ["DrawnEvents"]


class DrawnEvents(EventStream):
    """Writes what `looks` yields, and ends when it does, the watcher goes or the server stops.

    The iterator paces itself: it yields after each look, an empty list where nothing changed, so
    that signs of life can be given in between.
    """

    def __init__(
        self,
        looks: AsyncIterator[Sequence[ServerEvent]],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__()
        self._looks = looks
        self._heartbeat = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        if scope["method"] == "HEAD":
            await self.begin(send)
        else:
            async with self.listening(scope, receive, send) as write:
                await self._stream(write)
        await self.end(send)

    async def _stream(self, write: Write) -> None:
        written_at = anyio.current_time()
        async for events in self._looks:
            now = anyio.current_time()
            if events:
                await write(b"".join(event.encoded for event in events))
                written_at = now
            elif now - written_at >= self._heartbeat:
                await write(STILL_HERE)
                written_at = now
