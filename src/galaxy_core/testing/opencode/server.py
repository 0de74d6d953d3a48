"""`opencode serve`: the HTTP API and the event streams, with the original's manners and faults.

Control, for tests, without a password:

    POST /__fake/count {"prompt": ...}   how often the model began on it: {"count": n}
    POST /__fake/fault {"fault": ..., "path": "/session", "times": 1}
        cut     end every event stream that is open now
        mute    event streams stay open and say nothing more
        hang    the next `times` requests whose path begins so are never answered
        error   they are answered with 500
        die     the process ends as with `kill -9`
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from galaxy_core.testing.http import Request, Response, read_request
from galaxy_core.testing.opencode.bus import BusEvent
from galaxy_core.testing.opencode.engine import Engine
from galaxy_core.testing.opencode.ids import identifier
from galaxy_core.testing.opencode.routes import Routes
from galaxy_core.testing.opencode.store import Document, Store

_DEFAULT_PORT = 4096
_HEARTBEAT_SECONDS = 10.0
_WEB_UI = Response(200, b"<!doctype html><title>OpenCode</title>", "text/html;charset=UTF-8")


async def serve(arguments: Sequence[str], store: Store, environment: Mapping[str, str]) -> int:
    """Serve until TERM or INT; tools that run then are left behind, as in the original."""
    try:
        listening = _listen(arguments)
    except OSError:
        sys.stderr.write("Error: Unexpected error\n\nServeError: Failed to start server\n")
        return 1
    host, port = listening.getsockname()[:2]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _leave)
    async with asyncio.TaskGroup() as tasks:
        engine = Engine(store, environment, tasks)
        server = Server(engine, environment)
        async with await asyncio.start_server(server.connected, sock=listening, limit=2**26):
            await asyncio.sleep(float(environment.get("FAKE_OPENCODE_START_SECONDS", "0")))
            server.is_ready = True
            sys.stdout.write(f"opencode server listening on http://{host}:{port}\n")
            sys.stdout.flush()
            await asyncio.Event().wait()
    return 0


def _leave() -> None:
    # At once and without tidying up: this is what adapters have to live with.
    os._exit(0)


def _listen(arguments: Sequence[str]) -> socket.socket:
    options = dict(_options(arguments))
    host = options.get("hostname", "127.0.0.1")
    wanted = int(options.get("port", "0"))
    for port in [wanted] if wanted else [_DEFAULT_PORT, 0]:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError:
            opened.close()
            continue
        return opened
    raise OSError("address in use")


def _options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    words = iter(arguments)
    found = []
    for word in words:
        name, is_joined, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in {"port", "hostname"}:
            found.append((name, value if is_joined else next(words, "")))
    return found


@dataclass
class Fault:
    """Something that goes wrong with requests."""

    kind: str
    path: str
    times: int

    def meets(self, request: Request) -> bool:
        """Whether it strikes this request; counts."""
        if self.times <= 0 or not request.path.startswith(self.path):
            return False
        self.times -= 1
        return True


class Server:
    """Connections, passwords, faults and event streams; the calls are in `Routes`."""

    def __init__(self, engine: Engine, environment: Mapping[str, str]) -> None:
        self._engine = engine
        self._routes = Routes(engine)
        self._faults: list[Fault] = []
        self._is_mute = False
        self.is_ready = False
        """Before that, whoever asks waits for ever."""
        password = environment.get("OPENCODE_SERVER_PASSWORD")
        user = environment.get("OPENCODE_SERVER_USERNAME", "opencode")
        self._token = base64.b64encode(f"{user}:{password}".encode()).decode() if password else None

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        with suppress(ConnectionError):
            while (request := await read_request(reader)) is not None:
                if not self.is_ready:
                    await asyncio.Event().wait()
                response = await self._respond(request, writer)
                if response is None:
                    break
                writer.write(response.encoded())
                await writer.drain()
        writer.close()

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> Response | None:
        if request.parts[:1] == ("__fake",):
            return self._control(request)
        if not self._is_known(request):
            return Response(401)
        for fault in self._faults:
            if fault.meets(request):
                if fault.kind == "hang":
                    await asyncio.Event().wait()
                return Response.of({"name": "UnknownError", "data": {"message": "fault"}}, 500)
        if request.parts in {("event",), ("global", "event")}:
            await self._stream(request, writer)
            return None
        return await self._routes.respond(request, directory_of(request)) or _WEB_UI

    def _is_known(self, request: Request) -> bool:
        if self._token is None:
            return True
        given = request.headers.get("authorization", "").removeprefix("Basic ")
        return self._token in (given, request.query.get("auth_token"))

    # ---- events

    async def _stream(self, request: Request, writer: asyncio.StreamWriter) -> None:
        is_global = request.parts[0] == "global"
        directory = directory_of(request)
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        )
        with self._engine.bus.listener() as listener:
            event: BusEvent | None = BusEvent(directory, _plain("server.connected"))
            while event is not None:
                if not self._is_mute and (is_global or event.directory == directory):
                    content = event.content
                    await _send(
                        writer, _wrapped(event.directory, content) if is_global else content
                    )
                try:
                    event = await listener.next(_HEARTBEAT_SECONDS)
                except TimeoutError:
                    event = BusEvent(directory, _plain("server.heartbeat"))

    # ---- control

    def _control(self, request: Request) -> Response:
        body: dict[str, Any] = request.json()
        if request.parts[1] == "count":
            return Response.of({"count": self._engine.store.count(body["prompt"])})
        match body["fault"]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "cut":
                self._engine.bus.cut()
            case "mute":
                self._is_mute = True
            case kind:
                self._faults.append(Fault(kind, body.get("path", "/"), body.get("times", 1)))
        return Response.of(True)  # noqa: FBT003 - the answer is this word


def directory_of(request: Request) -> str:
    """The project folder that a request means: header, query, else the server's own."""
    header = request.headers.get("x-opencode-directory")
    if header:
        return urllib.parse.unquote(header)
    return request.query.get("directory") or os.getcwd()  # noqa: PTH109 - a string is wanted


def _plain(kind: str) -> Document:
    return {"id": identifier("evt"), "type": kind, "properties": {}}


def _wrapped(directory: str, content: Document) -> Document:
    """The form of `/global/event`."""
    return {"directory": directory, "project": "global", "payload": content}


async def _send(writer: asyncio.StreamWriter, content: Document) -> None:
    writer.write(f"data: {json.dumps(content)}\n\n".encode())
    await writer.drain()
