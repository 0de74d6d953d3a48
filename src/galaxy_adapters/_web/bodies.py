"""What requests bring: read up to a limit, and not a byte further.

An answer that comes before the whole body was read closes the connection, so that nobody goes on
taking in what is not wanted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from attrs import define
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galaxy_adapters._web.problems import Problem
from galaxy_core.domain.order import JSONObject

__all__ = ["BodyLimit", "allow_body", "read_object"]

SMALL_BODY = 1 << 20
"""Bytes, for all that is no upload."""
_LIMIT = "galaxy.body_limit"


@define(eq=False)
class BodyLimit:
    """ASGI middleware: reading more than the limit raises `Problem` where it is read."""

    app: ASGIApp
    default: int = SMALL_BODY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read, is_whole = 0, False
        scope[_LIMIT] = self.default

        async def receive_counted() -> Message:
            nonlocal read, is_whole
            announced = _announced(scope)
            if announced is not None and announced > scope[_LIMIT]:
                raise _too_large(scope[_LIMIT])
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if read > scope[_LIMIT]:
                    raise _too_large(scope[_LIMIT])
            return message

        async def send_closing(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_whole and _has_body(scope):
                headers = [h for h in message.get("headers", []) if h[0] != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        await self.app(scope, receive_counted, send_closing)


def allow_body(request: Request, limit: int) -> None:
    """Let this request bring so many bytes; before it is read."""
    request.scope[_LIMIT] = limit


async def read_object(request: Request) -> JSONObject:
    """The body as a JSON object.  Raises `Problem`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().casefold()
    if kind != "application/json":
        # Forms of other sites can be sent as text, not as JSON.
        raise Problem(415, "Send JSON, with `Content-Type: application/json`.")
    body = await request.body()
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"The body is no JSON: {type(error).__name__}.") from None
    if not isinstance(content, dict):
        raise Problem(400, "The body has to be a JSON object.")
    return cast("Mapping[str, object]", content)  # type: ignore[return-value]


def _announced(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return None


def _has_body(scope: Scope) -> bool:
    names = {name for name, _ in scope["headers"]}
    return b"transfer-encoding" in names or bool(_announced(scope))


def _too_large(limit: int) -> Problem:
    size = f"{limit >> 20} MB" if limit >= 1 << 20 else f"{limit >> 10} KB"
    return Problem(413, f"This is too large: at most {size} can be taken.")
