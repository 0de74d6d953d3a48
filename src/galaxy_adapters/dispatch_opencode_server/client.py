"""The calls of `opencode serve` 1.18 that a dispatcher needs, as plain methods.

Knows HTTP and nothing of turns.  Answers are opencode's own JSON: the fields read from it are few,
unknown ones are left alone, so that a newer server does not break an older Galaxy.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx
from attrs import field, frozen

from galaxy_adapters._opencode.parts import made_at
from galaxy_adapters.dispatch_opencode_server.stream import decoded_events
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    DispatchRejected,
    PermanentError,
    SessionNotFound,
)

Json: TypeAlias = dict[str, Any]

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 120.0
"""The first call for a project loads its plugins, which npm may have to fetch (27 s seen)."""
_HEALTH_SECONDS = 2.0
"""A call that arrives while the server starts is accepted and never answered."""
_SILENCE_SECONDS = 30.0
"""The stream sends a heartbeat every 10 s."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LARGEST_ANSWER = 256 * 1024 * 1024
"""Bytes; a page of messages with long tool results is a few megabytes."""


@frozen
class Endpoint:
    """Where a server is, and the key to it."""

    url: str
    password: str | None = field(default=None, repr=False)
    username: str = "opencode"


class CallNotFound(SessionNotFound):
    """What the call was about does not exist (any more): session, message, request."""


class PasswordRefused(DispatcherUnavailable):
    """The server answers, and wants another password than it was given."""


class OpencodeClient:
    """One server; safe to be used by many tasks at once."""

    def __init__(
        self, endpoint: Endpoint, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.endpoint = endpoint
        auth = (endpoint.username, endpoint.password) if endpoint.password else None
        # trust_env off: a proxy meant for the internet must not see calls to this server, and
        # ~/.netrc must not add a password to them.
        self._http = httpx.AsyncClient(
            base_url=endpoint.url,
            auth=auth,
            trust_env=False,
            transport=transport,
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
        )

    @property
    def is_local(self) -> bool:
        """Whether it runs on this machine, so that it can read our files."""
        return self._http.base_url.host in _LOOPBACK

    async def aclose(self) -> None:
        """Close its connections.  Turns go on in the server."""
        await self._http.aclose()

    # ---- the server

    async def version(self, *, within_seconds: float = _HEALTH_SECONDS) -> str:
        """Ask for its health; returns the version.  Raises `DispatcherUnavailable` in time."""
        path = "/global/health"
        try:
            health = await self._call("GET", path, timeout=within_seconds)
        except (CallNotFound, DispatchRejected) as error:
            health = error
        if not isinstance(health, dict):
            raise DispatcherUnavailable(f"What answers at {self.endpoint.url} is not opencode.")
        return str(health.get("version", "unknown"))

    async def dispose(self) -> None:
        """End every turn and every tool in the server."""
        await self._call("POST", "/global/dispose", timeout=10)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[Json]]:
        """Listen to everything that happens in the server, from now on.

        Yields `{"directory", "payload"}` as sent, without duplicates.  Raises
        `DispatcherUnavailable` when the stream breaks or is silent for 30 s.
        """
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        try:
            headers = {"accept": "text/event-stream", "cache-control": "no-store"}
            async with self._http.stream(
                "GET", "/global/event", headers=headers, timeout=timeout
            ) as response:
                self._raise_for(response, "GET /global/event", b"")
                kind = response.headers.get("content-type", "")
                if not kind.startswith("text/event-stream"):
                    raise DispatcherUnavailable(f"opencode sends no events, but {kind!r}.")
                yield decoded_events(response.aiter_bytes())
        except (httpx.HTTPError, ValueError, PermanentError) as error:
            # A refusal, too: a proxy may let everything through but this.
            raise DispatcherUnavailable(f"The event stream of opencode broke: {error!r}") from error

    # ---- a project

    async def agents(self, directory: str) -> list[Json]:
        """List the agents, the default one first."""
        return await self._list("/agent", directory)

    async def commands(self, directory: str) -> list[Json]:
        """List the commands."""
        return await self._list("/command", directory)

    async def providers(self, directory: str) -> list[Json]:
        """List the providers that can be used, each with its models."""
        answer = await self._call("GET", "/config/providers", directory=directory)
        return [each for each in answer.get("providers", []) if isinstance(each, dict)]

    async def config(self, directory: str) -> Json:
        """Read the configuration as it is in force."""
        return await self._object("/config", directory)

    async def status(self, directory: str) -> dict[str, Json]:
        """Map the sessions that work to how; idle ones are absent."""
        return await self._object("/session/status", directory)

    async def permissions(self, directory: str) -> list[Json]:
        """List permission requests that wait, ghosts of aborted turns included."""
        return await self._list("/permission", directory)

    async def questions(self, directory: str) -> list[Json]:
        """List questions that wait."""
        return await self._list("/question", directory)

    async def reply_permission(
        self, directory: str, request: str, reply: str, message: str | None
    ) -> None:
        """Answer `once`, `always` or `reject`.  Raises `CallNotFound` when stale."""
        body = {"reply": reply} | ({"message": message} if message else {})
        await self._call(
            "POST", f"/permission/{quote(request, safe='')}/reply", body, directory=directory
        )

    async def reply_question(
        self, directory: str, request: str, answers: Sequence[Sequence[str]]
    ) -> None:
        """Answer a question.  Raises `CallNotFound` when stale."""
        path = f"/question/{quote(request, safe='')}/reply"
        await self._call("POST", path, {"answers": [list(a) for a in answers]}, directory=directory)

    async def reject_question(self, directory: str, request: str) -> None:
        """Refuse to answer a question.  Raises `CallNotFound` when stale."""
        path = f"/question/{quote(request, safe='')}/reject"
        await self._call("POST", path, directory=directory)

    # ---- a session

    async def create_session(self, directory: str, title: str) -> str:
        """Make a session; returns its id.  With a title no model is asked for one."""
        return str(
            (await self._call("POST", "/session", {"title": title}, directory=directory))["id"]
        )

    async def time(self, directory: str) -> datetime | None:
        """Tell the time of day that it dates messages with; None when it does not say.

        No call gives it, so a session is made, whose date is the time, and removed again.
        """
        body = {"title": "What time is it?"}
        made = await self._call("POST", "/session", body, directory=directory)
        await self._call("DELETE", _session(str(made["id"])))
        return made_at(made)

    async def session(self, session: str) -> Json:
        """Read what a session is.  Raises `CallNotFound`."""
        return await self._object(_session(session))

    async def children(self, session: str) -> list[Json]:
        """List the sessions of its sub-agents (not theirs in turn)."""
        return await self._list(f"{_session(session)}/children")

    async def todos(self, session: str) -> list[Json]:
        """Read the agent's own list."""
        return await self._list(f"{_session(session)}/todo")

    async def message(self, session: str, message: str) -> Json:
        """Read one message.  Raises `CallNotFound`."""
        return await self._object(f"{_session(session)}/message/{quote(message, safe='')}")

    async def newest_messages(
        self, session: str, limit: int, before: str | None = None
    ) -> tuple[list[Json], str | None]:
        """Read a page of messages, oldest first, and the cursor of the page before it."""
        query = {"limit": str(limit)} | ({"before": before} if before else {})
        path = f"{_session(session)}/message"
        response = await self._send("GET", path, query=query)
        page = _decoded(response.content, f"GET {path}")
        if not isinstance(page, list):
            raise DispatcherUnavailable(f"opencode answered GET {path} with something else.")
        return page, response.headers.get("x-next-cursor")

    async def prompt(self, session: str, body: Json) -> None:
        """Hand a message in; returns at once, the events tell the rest."""
        await self._call("POST", f"{_session(session)}/prompt_async", body)

    async def command(self, session: str, body: Json) -> None:
        """Run one of opencode's commands; returns when its turn is over, however long."""
        await self._call("POST", f"{_session(session)}/command", body, timeout=None)

    async def abort(self, session: str) -> None:
        """End its turn, the tools and sub-agents included."""
        await self._call("POST", f"{_session(session)}/abort", timeout=10)

    # ---- HTTP

    async def _list(self, path: str, directory: str | None = None) -> list[Json]:
        answer = await self._call("GET", path, directory=directory)
        if not isinstance(answer, list):
            raise DispatcherUnavailable(f"opencode answered GET {path} with something else.")
        return [each for each in answer if isinstance(each, dict)]

    async def _object(self, path: str, directory: str | None = None) -> Json:
        answer = await self._call("GET", path, directory=directory)
        if not isinstance(answer, dict):
            raise DispatcherUnavailable(f"opencode answered GET {path} with something else.")
        return answer

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        directory: str | None = None,
        timeout: float | None = _READ_SECONDS,
    ) -> Any:  # noqa: ANN401 - JSON
        response = await self._send(method, path, body, directory=directory, timeout=timeout)
        if not response.content:
            return None
        return _decoded(response.content, f"{method} {path}")

    async def _send(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        directory: str | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float | None = _READ_SECONDS,
    ) -> httpx.Response:
        # A header must be ASCII; the server decodes the value (measured with "sub dir é").
        headers = {"x-opencode-directory": quote(os.fsencode(directory))} if directory else {}
        call = f"{method} {path}"
        if self._http.is_closed:
            raise DispatcherUnavailable(f"The opencode at {self.endpoint.url} was replaced.")
        if body is not None:
            headers["content-type"] = "application/json"
        try:
            async with self._http.stream(
                method,
                path,
                content=_encoded(body) if body is not None else None,
                params=query,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=_CONNECT_SECONDS),
            ) as response:
                content = await self._content(response, call)
        except httpx.HTTPError as error:
            raise DispatcherUnavailable(
                f"opencode at {self.endpoint.url} does not answer {call}: "
                f"{str(error) or type(error).__name__}"
            ) from error
        self._raise_for(response, call, content)
        return response

    @staticmethod
    async def _content(response: httpx.Response, call: str) -> bytes:
        size = int(response.headers.get("content-length", 0))
        if size > _LARGEST_ANSWER:
            raise DispatcherUnavailable(f"opencode's answer to {call} has {size} bytes: too large.")
        return await response.aread()

    def _raise_for(self, response: httpx.Response, call: str, content: bytes) -> None:
        status = response.status_code
        if status == httpx.codes.UNAUTHORIZED:
            raise PasswordRefused(
                f"opencode at {self.endpoint.url} refuses the password: "
                "set `opencode.password` to the one the server was started with."
            )
        if status == httpx.codes.NOT_FOUND:
            raise CallNotFound(f"{call}: {_said(content) or 'not found'}")
        if status in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
            raise DispatchRejected(f"opencode refuses {call}: {_said(content)}")
        if status >= httpx.codes.BAD_REQUEST:
            raise DispatcherUnavailable(f"opencode failed at {call} ({status}): {_said(content)}")
        # Unknown paths are answered with 200 and the page of the web interface.
        if "text/html" in response.headers.get("content-type", ""):
            raise DispatcherUnavailable(
                f"What answers at {self.endpoint.url} has no {call}: not opencode, or a version "
                "that Galaxy does not know (it knows 1.18)."
            )


def _session(session: str) -> str:
    return f"/session/{quote(session, safe='')}"


def _encoded(body: Json) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        # Half a character, which JSON can carry and UTF-8 cannot: as JSON's own escape.
        return json.dumps(body, separators=(",", ":")).encode()


def _decoded(content: bytes, call: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(content)
    except ValueError as error:
        raise DispatcherUnavailable(
            f"opencode answered {call} with something that is not JSON."
        ) from error


def _said(content: bytes) -> str:
    """Extract what an error answer says to people; a few hundred characters of it."""
    text = content[:2000].decode("utf-8", "replace")
    try:
        error = json.loads(content)
        data = error.get("data")
        said = data.get("message") if isinstance(data, dict) else None
        text = str(said or error.get("message") or text)
        if isinstance(data, dict) and data.get("ref"):
            text += f" ({data['ref']})"
    except (ValueError, AttributeError):
        pass
    return text[:300]
