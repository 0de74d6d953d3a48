"""A line to a server that can be cut."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketStream
from attrs import define, field


@define
class Line:
    """A TCP proxy: everything goes through it until it is cut."""

    target: str
    """`http://host:port` of the server."""
    url: str = ""
    """Where to connect instead."""
    is_down: bool = False
    """Whether new connections are dropped at once."""
    _scopes: set[anyio.CancelScope] = field(factory=set)

    def cut(self) -> None:
        """Break every connection that is open now."""
        for scope in self._scopes:
            scope.cancel()

    async def serve(self, near: SocketStream) -> None:
        """Carry one connection."""
        where = urlsplit(self.target)
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            async with near:
                if self.is_down:
                    return
                async with (
                    await anyio.connect_tcp(str(where.hostname), where.port or 80) as far,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(self._carry, near, far, tasks.cancel_scope)
                    tasks.start_soon(self._carry, far, near, tasks.cancel_scope)
        self._scopes.discard(scope)

    @staticmethod
    async def _carry(source: SocketStream, sink: SocketStream, both: anyio.CancelScope) -> None:
        try:
            async for data in source:
                await sink.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        both.cancel()


@asynccontextmanager
async def cuttable(target: str) -> AsyncIterator[Line]:
    """Open a line to `target`."""
    line = Line(target)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
        line.url = f"http://127.0.0.1:{port}"
        tasks.start_soon(listener.serve, line.serve)
        yield line
        tasks.cancel_scope.cancel()
