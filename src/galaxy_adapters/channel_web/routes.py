"""What the page calls; see the package's own words for what goes in and comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from attrs import define
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from galaxy_adapters._web import (
    EventResponse,
    FormLimits,
    Pages,
    Problem,
    Upload,
    allow_body,
    last_event_id,
    read_form,
    read_object,
    visitor_of,
)
from galaxy_adapters.channel_web._bodies import IMAGES
from galaxy_adapters.channel_web._desk import ChatDesk
from galaxy_adapters.channel_web._history import FIRST
from galaxy_adapters.channel_web.channel import WebChannel
from galaxy_core.domain.order import JSONObject

__all__ = ["FOLDER", "routes"]

FOLDER = Path(__file__).parent
"""Of the page's templates and static files."""
_FILE_POLICY = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
_SLUG = re.compile(r"[a-z0-9-]{1,60}")

Endpoint: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


async def _to_chat(_: Request) -> Response:
    return RedirectResponse("/chat", HTTPStatus.SEE_OTHER)


def routes(channel: WebChannel, pages: Pages, *, is_alone: bool = False) -> list[BaseRoute]:
    """The chat's routes; alone it is what `/` leads to, too."""
    chat = _Chat(channel.desk, pages)
    table: list[tuple[str, str, Endpoint]] = [
        ("GET", "/chat", chat.page),
        ("GET", "/chat/api/conversations", chat.conversations),
        ("POST", "/chat/api/conversations", chat.create),
        ("PATCH", "/chat/api/conversations/{conversation}", chat.rename),
        ("GET", "/chat/api/conversations/{conversation}/messages", chat.messages),
        ("POST", "/chat/api/messages", chat.say),
        ("POST", "/chat/api/presses", chat.press),
        ("GET", "/chat/api/commands", chat.commands),
        ("GET", "/chat/api/events", chat.events),
        ("GET", "/chat/files/{file_id}", chat.file),
        ("GET", "/chat/{conversation}", chat.page),
    ]
    if is_alone:
        table.append(("GET", "/", _to_chat))
    return [Route(path, endpoint, methods=[method]) for method, path, endpoint in table]


@define(eq=False)
class _Chat:
    _desk: ChatDesk
    _pages: Pages

    async def page(self, request: Request) -> Response:
        person = _person(request)
        conversations, _ = await self._desk.conversations(person)
        chosen = request.path_params.get("conversation") or FIRST
        if chosen not in {view["id"] for view in conversations}:
            raise Problem(404, "There is no such conversation.")
        config = self._desk.config
        return self._pages.render(
            request,
            "chat.html",
            conversation=next(view for view in conversations if view["id"] == chosen),
            limits={
                "text_characters": config.text_characters,
                "file_bytes": config.file_bytes,
                "files": config.files,
            },
        )

    async def conversations(self, request: Request) -> Response:
        found, number = await self._desk.conversations(_person(request))
        return _json({"conversations": [dict(view) for view in found], "number": number})

    async def create(self, request: Request) -> Response:
        title = _text(await read_object(request), "title")
        made = await self._desk.create(_person(request), title)
        return _json({"conversation": dict(made)}, 201)

    async def rename(self, request: Request) -> Response:
        title = _text(await read_object(request), "title")
        slug = _slug(request.path_params["conversation"])
        renamed = await self._desk.rename(_person(request), slug, title)
        return _json({"conversation": dict(renamed)})

    async def messages(self, request: Request) -> Response:
        slug = _slug(request.path_params["conversation"])
        before = _number(request, "before")
        limit = _number(request, "limit") or 50
        found = await self._desk.history(_person(request), slug, before=before, limit=limit)
        return _json(found)

    async def say(self, request: Request) -> Response:
        person, config = _person(request), self._desk.config
        if request.headers.get("content-type", "").startswith("multipart/form-data"):
            limits = FormLimits(
                file_bytes=config.file_bytes,
                files=config.files,
                field_bytes=6 * config.text_characters + (8 << 10),
            )
            form = await read_form(request, limits, self._desk.upload_folder)
            try:
                return await self._say(person, dict(form.fields), form.files)
            finally:
                await form.discard()  # what became part of the message has moved on
        allow_body(request, 12 * config.text_characters + (8 << 10))  # as JSON may write it
        return await self._say(person, await read_object(request), [])

    async def _say(self, person: str, given: JSONObject, uploads: list[Upload]) -> Response:
        reply_to = given.get("reply_to")
        view, is_new = await self._desk.say(
            person,
            _slug(_text(given, "conversation")),
            _text(given, "text"),
            key=_text(given, "key"),
            uploads=uploads,
            reply_to=reply_to if isinstance(reply_to, str) else None,
        )
        return _json({"message": dict(view), "is_new": is_new}, 202)

    async def press(self, request: Request) -> Response:
        given = await read_object(request)
        press_id = await self._desk.press(
            _person(request),
            _text(given, "message_id"),
            _text(given, "data"),
            key=_text(given, "key"),
        )
        return _json({"press_id": press_id}, 202)

    async def commands(self, request: Request) -> Response:
        entries = self._desk.commands(_person(request))
        return _json(
            {"commands": [{"command": e.command, "description": e.description} for e in entries]}
        )

    async def events(self, request: Request) -> Response:
        person = _person(request)
        after = last_event_id(
            request.headers.get("last-event-id"), request.query_params.get("after")
        )
        return EventResponse(self._desk.hub, person, lambda: self._desk.missed(person, after))

    async def file(self, request: Request) -> Response:
        found, path = await self._desk.file(_person(request), request.path_params["file_id"])
        is_image = found.mime in IMAGES
        way = "inline" if is_image and "download" not in request.query_params else "attachment"
        name = quote(found.name.encode("utf-8", "replace"), safe="")
        return FileResponse(
            path,
            media_type=found.mime if is_image else "application/octet-stream",
            headers={
                "content-disposition": f"{way}; filename*=UTF-8''{name}",
                "content-security-policy": _FILE_POLICY,
                "cache-control": "private, max-age=86400",
            },
        )


def _person(request: Request) -> str:
    person = visitor_of(request).person
    if not person:
        raise Problem(403, "The chat is for people: log in on the page.")
    return person


def _json(content: JSONObject, status: int = 200) -> Response:
    return JSONResponse(dict(content), status_code=status)


def _text(given: JSONObject, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str):
        raise Problem(422, f"`{name}` is missing, or is no text.")
    return value


def _slug(given: str) -> str:
    if not _SLUG.fullmatch(given):
        raise Problem(404, "There is no such conversation.")
    return given


def _number(request: Request, name: str) -> int | None:
    given = request.query_params.get(name)
    if given is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", given):
        raise Problem(422, f"`{name}` has to be a number.")
    return int(given)
