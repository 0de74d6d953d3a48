"""The calls of `opencode serve` that dispatchers make; what is not here answers with HTML."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from galaxy_core.testing.http import Request, Response
from galaxy_core.testing.opencode.engine import VERSION, Engine
from galaxy_core.testing.opencode.ids import now_ms
from galaxy_core.testing.opencode.store import Document

_OK = Response.of(True)  # noqa: FBT003 - the answer is this word


def _error(status: int, name: str, message: str) -> Response:
    return Response.of({"name": name, "data": {"message": message}}, status)


def _not_found(what: str) -> Response:
    return _error(404, "NotFoundError", f"Session not found: {what}")


class Routes:
    """Answers requests with what the engine knows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def respond(self, request: Request, directory: str) -> Response | None:
        """The answer; None for a path that opencode does not have."""
        try:
            return await self._route(request, directory)
        except (ValueError, TypeError, KeyError) as error:
            return _error(400, "BadRequest", repr(error))

    async def _route(self, request: Request, directory: str) -> Response | None:
        match (request.method, *request.parts):
            case (method, "session", *rest):
                return await self._sessions(method, tuple(rest), request, directory)
            case ("POST", "permission", ask_id, "reply"):
                return self._reply_permission(directory, ask_id, request.json())
            case ("POST", "question", ask_id, "reply" | "reject" as how):
                return self._reply_question(directory, ask_id, how, request.json())
            case ("POST", "global" | "instance" as which, "dispose"):
                await self._engine.dispose(directory if which == "instance" else None)
                return _OK
            case ("GET", *path):
                return self._read("/".join(path), directory)
        return None

    # ---- plain reads

    def _read(self, path: str, directory: str) -> Response | None:
        project = self._engine.project(directory)
        reads: dict[str, Callable[[], object]] = {
            "global/health": lambda: {"healthy": True, "version": VERSION},
            "permission": lambda: self._engine.asks.permissions(directory),
            "question": lambda: self._engine.asks.questions(directory),
            "agent": lambda: project.agents,
            "command": lambda: [
                {"name": name, **settings} for name, settings in project.commands.items()
            ],
            "skill": list,
            "config": lambda: project.config,
            "config/providers": lambda: {
                "providers": [{"id": name, **one} for name, one in project.providers.items()],
                "default": {},
            },
        }
        read = reads.get(path)
        return Response.of(read()) if read is not None else None

    # ---- sessions

    async def _sessions(
        self, method: str, rest: tuple[str, ...], request: Request, directory: str
    ) -> Response | None:
        match (method, *rest):
            case ("GET",):
                limit = int(request.query.get("limit", "100"))
                return Response.of(self._engine.store.sessions(directory)[:limit])
            case ("POST",):
                wanted: dict[str, Any] = request.json()
                return Response.of(self._engine.new_session(directory, **wanted))
            case ("GET", "status"):
                return Response.of(self._engine.status(directory))
            case (_, session_id, *path):
                return await self._session(method, session_id, "/".join(path), request)
        return None

    async def _session(
        self, method: str, session_id: str, path: str, request: Request
    ) -> Response | None:
        if not session_id.startswith("ses"):
            return _error(500, "UnknownError", "Unexpected server error. ref: err_fake")
        if (method, path) == ("POST", "abort"):
            await self._engine.abort(session_id)
            return _OK  # also for an idle or unknown session
        session = self._engine.store.session(session_id)
        if session is None:
            return _not_found(session_id)
        calls: dict[tuple[str, str], Callable[[Document, Request], Awaitable[Response]]] = {
            ("GET", ""): self._show,
            ("PATCH", ""): self._change,
            ("DELETE", ""): self._delete,
            ("GET", "message"): self._messages,
            ("POST", "message"): self._prompt,
            ("POST", "prompt_async"): self._prompt_async,
            ("GET", "todo"): self._todos,
            ("GET", "children"): self._children,
            ("POST", "command"): self._command,
        }
        call = calls.get((method, path))
        if call is not None:
            return await call(session, request)
        if method == "GET" and path.startswith("message/"):
            return self._message(session, path.removeprefix("message/"))
        return None

    async def _show(self, session: Document, _request: Request) -> Response:
        return Response.of(session)

    async def _change(self, session: Document, request: Request) -> Response:
        session |= request.json()
        session["time"]["updated"] = now_ms()
        self._engine.store.put_session(session)
        return Response.of(session)

    async def _delete(self, session: Document, _request: Request) -> Response:
        await self._engine.abort(session["id"])
        self._engine.store.delete_session(session["id"])
        told = {"sessionID": session["id"], "info": session}
        self._engine.bus.publish(session["directory"], "session.deleted", told)
        return _OK

    async def _messages(self, session: Document, request: Request) -> Response:
        """A page, the newest one first; the cursor of the page before it is in a header."""
        found = self._engine.store.messages(session["id"])
        before = request.query.get("before")
        if before:
            found = found[: [one["info"]["id"] for one in found].index(before)]
        limit = int(request.query.get("limit", "0"))
        page = found[-limit:] if limit else found
        if len(page) == len(found):
            return Response.of(page)
        cursor = {"x-next-cursor": page[0]["info"]["id"]}
        return Response(body=json.dumps(page).encode(), headers=cursor)

    def _message(self, session: Document, message_id: str) -> Response:
        found = self._engine.store.message(message_id)
        if found is None or found["info"]["sessionID"] != session["id"]:
            return _error(404, "NotFoundError", f"Message not found: {message_id}")
        return Response.of(found)

    async def _prompt(self, session: Document, request: Request) -> Response:
        """Blocks for the whole turn; 200 even when the provider failed."""
        body = request.json()
        if not body.get("parts"):
            return _error(500, "UnknownError", "Unexpected server error. ref: err_fake")
        if self._engine.admit(session, body) is None:
            return _error(500, "UnknownError", "Unexpected server error. ref: err_fake")
        await self._engine.wait(session["id"])
        messages = self._engine.store.messages(session["id"])
        return Response.of(messages[-1])

    async def _prompt_async(self, session: Document, request: Request) -> Response:
        """204 always, also for a model or an agent that nobody has."""
        body = request.json()
        if not isinstance(body.get("parts"), list):
            return _error(400, "BadRequest", "parts are missing")
        self._engine.admit(session, body)
        return Response(204)

    async def _todos(self, session: Document, _request: Request) -> Response:
        return Response.of(self._engine.store.todos(session["id"]))

    async def _children(self, session: Document, _request: Request) -> Response:
        everyone = self._engine.store.sessions()
        return Response.of([one for one in everyone if one.get("parentID") == session["id"]])

    async def _command(self, session: Document, request: Request) -> Response:
        body: dict[str, Any] = request.json()
        commands = self._engine.project(session["directory"]).commands
        if body["command"] not in commands:
            return _error(500, "UnknownError", "Unexpected server error. ref: err_fake")
        template = str(commands[body["command"]]["template"])
        text = template.replace("$ARGUMENTS", str(body.get("arguments", "")))
        prompt: Document = {"parts": [{"type": "text", "text": text}]}
        if body.get("model"):
            provider, _, model = str(body["model"]).partition("/")
            prompt["model"] = {"providerID": provider, "modelID": model}
        prompt |= {name: body[name] for name in ("agent", "messageID") if body.get(name)}
        self._engine.admit(session, prompt)
        await self._engine.wait(session["id"])
        return Response.of(self._engine.store.messages(session["id"])[-1])

    # ---- answers of people

    def _reply_permission(self, directory: str, ask_id: str, body: dict[str, Any]) -> Response:
        if self._engine.asks.reply_permission(directory, ask_id, body):
            return _OK
        return _error(404, "PermissionNotFoundError", ask_id)

    def _reply_question(
        self, directory: str, ask_id: str, how: str, body: dict[str, Any]
    ) -> Response:
        answers = body["answers"] if how == "reply" else None
        if self._engine.asks.reply_question(directory, ask_id, answers):
            return _OK
        return _error(404, "QuestionNotFoundError", ask_id)
