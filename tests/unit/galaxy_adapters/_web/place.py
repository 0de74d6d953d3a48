"""A site with a few routes, and browsers and programs that call it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import httpx
from attrs import define, field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from galaxy_adapters._web import (
    FormLimits,
    Site,
    WebAccess,
    read_form,
    read_object,
    visitor_of,
)
from galaxy_core.domain.errors import OrderNotFound, StorageUnavailable
from galaxy_core.testing.memory import Faults, ManualClock, MemoryNoteStore

TOKEN = "a-token-for-programs"
HTML = {"accept": "text/html"}


@define(eq=False)
class Place:
    """One server."""

    access: WebAccess = field(factory=lambda: WebAccess(token=TOKEN))
    folder: Path | None = None
    clock: ManualClock = field(factory=ManualClock, init=False)
    faults: Faults = field(factory=Faults, init=False)
    notes: MemoryNoteStore = field(init=False)
    site: Site = field(init=False)
    seen: list[str] = field(factory=list, init=False)
    """What got past the door."""

    def __attrs_post_init__(self) -> None:
        self.notes = MemoryNoteStore(self.clock, faults=self.faults)
        self.start()

    def start(self) -> None:
        """Start the server (again), over the same notes."""
        self.site = Site(self.access, self.notes, self.clock)
        self.app = self.site.application(self._routes())

    app: object = field(init=False)

    def browser(
        self,
        address: str = "127.0.0.1",
        base: str = "http://127.0.0.1:5000",
        headers: Mapping[str, str] = HTML,
    ) -> httpx.AsyncClient:
        """Somebody who calls from that address."""
        transport = httpx.ASGITransport(app=self.app, client=(address, 40_000))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers)

    async def known_browser(self, **others: object) -> httpx.AsyncClient:
        """A browser that came in by the printed address."""
        browser = self.browser(**others)  # type: ignore[arg-type]
        answer = await browser.get("/", params={"key": await self.site.sessions.new_key()})
        assert answer.status_code == 303
        return browser

    async def status_of(self, raw_path: str, cookie: str = "") -> int:
        """The status of a GET whose path no client has tidied up."""
        statuses: list[int] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                statuses.append(int(str(message["status"])))

        headers = [(b"host", b"127.0.0.1"), (b"cookie", f"galaxy-session={cookie}".encode())]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": unquote(raw_path),
            "raw_path": raw_path.encode(),
            "query_string": b"",
            "headers": headers,
            "server": ("127.0.0.1", 5000),
            "client": ("127.0.0.1", 40_000),
        }
        await self.app(scope, receive, send)  # type: ignore[operator]
        return statuses[0]

    def _routes(self) -> list[BaseRoute]:
        paths = [
            ("/", self._echo),
            ("/orders/{order_id}", self._echo),
            ("/chat/api/messages", self._echo),
            ("/api/status", self._echo),
            ("/api/orders", self._echo),
            ("/api/objects", self._object),
            ("/api/forms", self._form),
            ("/api/missing", self._missing),
            ("/api/away", self._away),
            ("/api/bug", self._bug),
            ("/healthz", self._echo),
            ("/readyz", self._echo),
            ("/metrics", self._echo),
        ]
        methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        return [Route(path, endpoint, methods=methods) for path, endpoint in paths]

    async def _echo(self, request: Request) -> Response:
        self.seen.append(f"{request.method} {request.url.path}")
        visitor = visitor_of(request)
        return JSONResponse({"person": visitor.person, "way": visitor.way})

    async def _object(self, request: Request) -> Response:
        return JSONResponse(dict(await read_object(request)))

    async def _form(self, request: Request) -> Response:
        limits = FormLimits(file_bytes=1 << 20, files=2, field_bytes=2000)
        form = await read_form(request, limits, self.folder)
        files = [[upload.name, upload.mime, upload.size] for upload in form.files]
        contents = [upload.path.read_bytes().decode("latin-1") for upload in form.files]
        await form.discard()
        return JSONResponse({"fields": form.fields, "files": files, "contents": contents})

    async def _missing(self, request: Request) -> Response:
        raise OrderNotFound("There is no order `x`.")

    async def _away(self, request: Request) -> Response:
        raise StorageUnavailable("The disk is full.")

    async def _bug(self, request: Request) -> Response:
        raise ZeroDivisionError("a secret")
