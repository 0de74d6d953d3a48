"""As much of an HTTP server as the fake opencode and the local Bot API server need."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass

_REASONS = {
    200: "OK",
    204: "No Content",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Request Entity Too Large",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
}
_LIMIT = 64 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request, read whole."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's segments, decoded."""
        return tuple(urllib.parse.unquote(part) for part in self.path.split("/") if part)

    def json(self) -> dict[str, object]:
        """The body as a JSON object; raises `ValueError`."""
        content = json.loads(self.body or b"{}")
        if not isinstance(content, dict):
            raise TypeError("not an object")
        return content


@dataclass(frozen=True)
class Response:
    """One answer."""

    status: int = 200
    body: bytes = b""
    kind: str = "application/json"
    headers: Mapping[str, str] | None = None

    @classmethod
    def of(cls, content: object, status: int = 200) -> Response:
        """An answer in JSON."""
        return cls(status, json.dumps(content).encode())

    def encoded(self) -> bytes:
        """The answer as it goes over the wire."""
        headers = {
            "content-type": self.kind,
            "content-length": str(len(self.body)),
            **(self.headers or {}),
        }
        if not self.body:
            headers.pop("content-type")
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Unknown')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request of a connection; None when it was closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        length = int(headers.get("content-length", 0))
        body = await reader.readexactly(min(length, _LIMIT))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    path, _, query = target.partition("?")
    return Request(method, path, dict(urllib.parse.parse_qsl(query)), headers, body)
