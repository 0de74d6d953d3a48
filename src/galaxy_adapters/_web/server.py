"""Runs an application over uvicorn, inside a task group of ours."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import structlog
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp, Receive, Scope, Send

from galaxy_adapters._web.listening import STOPPING
from galaxy_core.domain.errors import PermanentError

__all__ = ["CannotListen", "address_of", "serve"]

_log = structlog.get_logger(__name__)

_MOST_CONNECTIONS = 1000
_STOP_SECONDS = 3
_BACKLOG = 256


class CannotListen(PermanentError, OSError):
    """The port is taken or not ours to use; the message says what to do."""


class _Server(uvicorn.Server):
    """Leaves signals to the application around it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    *,
    on_ready: Callable[[int], None] | None = None,
    is_behind_proxy: bool = False,
    task_status: TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled; then let answers end, for a few seconds.

    Port 0 takes a free one.  `on_ready` and `task_status` are told the port as soon as requests
    are answered.  `is_behind_proxy`: believe X-Forwarded-For and -Proto of a proxy on this machine.
    Raises `CannotListen` with a sentence.
    """
    listening = _listen(host, port)
    stopping = anyio.Event()

    async def stoppable(scope: Scope, receive: Receive, send: Send) -> None:
        scope[STOPPING] = stopping
        await app(scope, receive, send)

    # Its lines about unfinished streams say nothing that a person could act on.
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    server = _Server(
        uvicorn.Config(
            stoppable,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            http="h11",
            server_header=False,
            proxy_headers=is_behind_proxy,
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
    )
    found: int = listening.getsockname()[1]
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_run, server, listening, name="http server")
            try:
                await server.is_up.wait()
                _log.info("web.listening", host=host, port=found)
                if on_ready is not None:
                    on_ready(found)
                task_status.started(found)
                await anyio.sleep_forever()
            finally:
                stopping.set()
                server.should_exit = True
    finally:
        listening.close()


async def _run(server: _Server, listening: socket.socket) -> None:
    # It ends by `should_exit`: cancelled, it would leave connections open.
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise CannotListen(
            f"Cannot listen on {host}: this machine knows no such address. Set `web.host`."
        ) from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise CannotListen(f"Cannot listen on {host}, port {port}: {_advice(error)}") from error
    return listening


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program has it. End that one, or choose another port with --port."
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "ports below 1024 are for administrators. Choose another one with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address. Set `web.host`."
    return f"{error.strerror or error}."


def address_of(host: str, port: int, *, key: str | None = None, path: str = "/") -> str:
    """What a person opens."""
    name = "127.0.0.1" if host in {"0.0.0.0", "::"} else host.strip("[]")  # noqa: S104 - compared
    name = f"[{name}]" if ":" in name else name
    return f"http://{name}:{port}{path}" + (f"?key={key}" if key else "")


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return "without completing response" not in str(record.msg)
