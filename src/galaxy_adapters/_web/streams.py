"""Streams of server-sent events that each watcher draws at its own pace.

`EventResponse` is for what is said once, to all who listen; this is for states, which are looked
at again and again: a watcher that is slow sees fewer of them, and nothing piles up for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from galaxy_adapters._web.events import (
    HEARTBEAT_SECONDS,
    RETRY_MILLISECONDS,
    STOPPING,
    ServerEvent,
)

__all__ = ["DrawnEvents"]


class DrawnEvents(Response):
    """Writes what `looks` yields, and ends when it does, the watcher goes or the server stops.

    The iterator paces itself: it yields after each look, an empty list where nothing changed, so
    that signs of life can be given in between.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        looks: AsyncIterator[Sequence[ServerEvent]],
        *,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._looks = looks
        self._heartbeat = heartbeat_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        if scope["method"] != "HEAD":
            async with anyio.create_task_group() as tasks:

                async def until(end: Callable[[], Awaitable[object]]) -> None:
                    await end()
                    tasks.cancel_scope.cancel()

                async def gone() -> None:
                    while (await receive())["type"] != "http.disconnect":
                        pass

                tasks.start_soon(until, gone, name="watcher gone")
                if (stopping := scope.get(STOPPING)) is not None:
                    tasks.start_soon(until, stopping.wait, name="server stops")
                await self._stream(send)
                tasks.cancel_scope.cancel()
        with anyio.move_on_after(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stream(self, send: Send) -> None:
        async def write(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        await write(f"retry: {RETRY_MILLISECONDS}\n: hello\n\n".encode())
        written_at = anyio.current_time()
        async for events in self._looks:
            now = anyio.current_time()
            if events:
                await write(b"".join(event.encoded for event in events))
                written_at = now
            elif now - written_at >= self._heartbeat:
                await write(b": still here\n\n")
                written_at = now
