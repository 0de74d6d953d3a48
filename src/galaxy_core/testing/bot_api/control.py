"""The tests' side over HTTP, for servers that are processes of their own.

    POST /control/server/person {"name": "Ann"}                    -> {"id": 101001}
    POST /control/person/writes {"id": 101001, "text": "hello"}    -> the message
    POST /control/server/sent {"chat": 101001}                     -> what the bot wrote there
    POST /control/server/plan {"kind": "flood", "method": "sendMessage", "retry_after": 5}

The last part of the path is a method of `BotApiServer`, `Person` or `Group`, the body its
arguments by name.  People and groups are named by id, bytes are `{"base64": ...}`.  What cannot be
done is answered with 400 and `{"error": ...}`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs

from galaxy_core.testing.bot_api.faults import Fault
from galaxy_core.testing.bot_api.people import Room
from galaxy_core.testing.bot_api.rates import RateLimits
from galaxy_core.testing.bot_api.server import BotApiServer
from galaxy_core.testing.bot_api.state import Json
from galaxy_core.testing.http import Request, Response

_PEOPLE = frozenset({"by", "person"})


class Control:
    """Carries out what tests ask for."""

    def __init__(self, server: BotApiServer) -> None:
        self._server = server

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        try:
            return Response.of(plain(self._do(request)))
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return Response.of({"error": f"{type(error).__name__}: {error}"}, 400)

    def _do(self, request: Request) -> object:
        _, kind, operation = request.parts
        arguments = {key: self._meant(key, value) for key, value in request.json().items()}
        if operation.startswith("_") or operation in {"start", "stop", "until"}:
            raise LookupError(operation)
        if kind == "server" and operation in _OWN:
            return _OWN[operation](self._server, arguments)
        target: object = self._server
        if kind != "server":
            known = {"person": self._server.known_person, "group": self._server.known_group}
            target = known[kind](arguments.pop("id"))
        wanted = getattr(target, operation)
        return wanted(**arguments) if callable(wanted) else wanted

    def _meant(self, name: str, value: object) -> Any:  # noqa: ANN401 - an argument of any method
        if name in _PEOPLE and isinstance(value, int):
            return self._server.known_person(value)
        if name == "channel" and isinstance(value, int):
            return self._server.known_group(value)
        return opened(value)


def _plan(server: BotApiServer, arguments: Json) -> object:
    server.plan(Fault(**arguments))
    return True


def _limit(server: BotApiServer, arguments: Json) -> object:
    server.limit(RateLimits(**arguments) if arguments else None)
    return True


def _group(server: BotApiServer, arguments: Json) -> object:
    members = [server.known_person(one) for one in arguments.pop("members", [])]
    return server.group(arguments.pop("title", "Team"), *members, **arguments)


def _bot(server: BotApiServer, arguments: Json) -> object:
    server.bot.update(arguments)
    return server.bot


_OWN: dict[str, Callable[[BotApiServer, Json], object]] = {
    "plan": _plan,
    "limit": _limit,
    "group": _group,
    "bot": _bot,
}
"""Methods whose arguments are made of JSON in a way of their own."""


def plain(value: Any) -> object:  # noqa: ANN401, PLR0911 - one line a type
    """A value in JSON's terms."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Room):
        return {"id": value.id}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if attrs.has(value.__class__):
        names = [one.name for one in attrs.fields(value.__class__)]
        return plain({name: getattr(value, name) for name in names})
    return value


def opened(value: object) -> Any:  # noqa: ANN401 - JSON
    """The other way: bytes become bytes again."""
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {key: opened(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [opened(inner) for inner in value]
    return value
