"""A response that goes on for as long as somebody listens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0
"""Proxies cut a connection on which nothing comes for a minute."""
STILL_HERE = b": still here\n\n"
STOPPING = "galaxy.stopping"
"""Where `serve` puts the event that ends all streams."""
_RETRY_MILLISECONDS = 1000

Write: TypeAlias = Callable[[bytes], Awaitable[None]]


class EventStream(Response):
    """Server-sent events; what they are is for who inherits it."""

    media_type = "text/event-stream"

    def __init__(self) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]

    @asynccontextmanager
    async def listening(
        self, scope: Scope, receive: Receive, send: Send, *ends: anyio.Event
    ) -> AsyncIterator[Write]:
        """Give what writes; left at once when the page goes, the server stops or an end comes.

        A write that hangs because nobody reads is cut off too.
        """
        async with anyio.create_task_group() as tasks:

            async def until(end: Callable[[], Awaitable[object]]) -> None:
                await end()
                tasks.cancel_scope.cancel()

            async def gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass

            async def write(data: bytes) -> None:
                await send({"type": "http.response.body", "body": data, "more_body": True})

            tasks.start_soon(until, gone, name="page gone")
            for end in (*ends, scope.get(STOPPING)):
                if end is not None:
                    tasks.start_soon(until, end.wait, name="stream ends")
            await self.begin(send)
            await write(f"retry: {_RETRY_MILLISECONDS}\n: hello\n\n".encode())
            yield write
            tasks.cancel_scope.cancel()

    async def begin(self, send: Send) -> None:
        """Send the head."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )

    async def end(self, send: Send) -> None:
        """Send the end, if anybody takes it."""
        with anyio.move_on_after(1):
            await send({"type": "http.response.body", "body": b"", "more_body": False})
