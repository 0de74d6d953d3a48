"""Sessions and turns of one fake opencode process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from galaxy_core.testing.opencode.asks import Asks
from galaxy_core.testing.opencode.bus import Bus
from galaxy_core.testing.opencode.ids import identifier, now_ms
from galaxy_core.testing.opencode.project import Project
from galaxy_core.testing.opencode.provider import Tries
from galaxy_core.testing.opencode.store import Document, Store
from galaxy_core.testing.opencode.turn import Turn

VERSION = "1.18.33"


class Engine:
    """Takes prompts and runs turns, in the task group it is given."""

    def __init__(
        self, store: Store, environment: Mapping[str, str], tasks: asyncio.TaskGroup
    ) -> None:
        self.store = store
        self.environment = environment
        self.bus = Bus()
        self.asks = Asks(self.bus)
        self.tries = Tries()
        self._tasks = tasks
        self._projects: dict[str, Project] = {}
        self._turns: dict[str, Turn] = {}

    def project(self, directory: str) -> Project:
        """The folder's settings, read when it is first used."""
        if directory not in self._projects:
            self._projects[directory] = Project(Path(directory), self.environment)
        return self._projects[directory]

    # ---- sessions

    def new_session(self, directory: str, **wanted: Any) -> Document:  # noqa: ANN401
        """Make a session; `wanted` are the fields of its creator."""
        session_id = identifier("ses")
        title = wanted.pop("title", None) or f"New session - {now_ms()}"
        session: Document = {
            "id": session_id,
            "slug": session_id[-8:].lower(),
            "projectID": "global",
            "directory": directory,
            "title": title,
            "version": VERSION,
            "time": {"created": now_ms(), "updated": now_ms()},
            **wanted,
        }
        self.store.put_session(session)
        self.bus.publish(directory, "session.created", {"sessionID": session_id, "info": session})
        return session

    def status(self, directory: str) -> Document:
        """`{session: {"type": "busy"}}` of the folder's sessions that work."""
        return {
            session_id: turn.status
            for session_id, turn in self._turns.items()
            if turn.directory == directory
        }

    # ---- turns

    def admit(self, session: Document, body: Document) -> Document | None:
        """Take a prompt in; gives the user's message, None when the prompt cannot be begun.

        Idempotent in `messageID`: the parts of a known one are added to it, and nothing runs.
        """
        project = self.project(session["directory"])
        known = self.store.message(body["messageID"]) if body.get("messageID") else None
        if known is not None:
            known["parts"] += self._parts(known["info"], body["parts"])
            self.store.put_message(known)
            return known
        agent = str(body.get("agent") or project.default_agent)
        if project.agent(agent) is None:
            self._fail_early(session, f'Agent not found: "{agent}".')
            return None
        model = body.get("model") or session.get("model") or project.default_model
        # Sticky: later prompts without a model inherit it, also one that nobody has.
        session |= {"agent": agent, "model": model}
        session["time"]["updated"] = now_ms()
        self.store.put_session(session)
        self._publish_session(session)
        message = self._user_message(session, body, agent, model)
        self._begin(session)
        return message

    def _begin(self, session: Document) -> None:
        turn = self._turns.get(session["id"])
        if turn is not None:
            return  # steering: the turn that runs takes the message up at its next step
        turn = Turn(self, session)
        self._turns[session["id"]] = turn
        turn.task = self._tasks.create_task(self._carry_out(turn), name=f"turn {session['id']}")

    async def _carry_out(self, turn: Turn) -> None:
        try:
            await turn.run()
        finally:
            self._turns.pop(turn.session["id"], None)

    async def delegate(
        self, parent: Document, agent: str, description: str, prompt: str
    ) -> tuple[str, str]:
        """Run a sub-agent to its end: (its session, what it said last)."""
        title = f"{description} (@{agent} subagent)"
        child = self.new_session(parent["directory"], title=title, parentID=parent["id"])
        body: Document = {"parts": [{"type": "text", "text": prompt}]}
        model = parent.get("model") or {}
        self._user_message(child, body, agent, model)
        turn = Turn(self, child | {"agent": agent, "model": model})
        self._turns[child["id"]] = turn
        # In the caller's own task: aborting the parent aborts the child.
        await self._carry_out(turn)
        return child["id"], turn.text

    async def wait(self, session_id: str) -> None:
        """Return when nothing runs in the session."""
        turn = self._turns.get(session_id)
        if turn is not None and turn.task is not None:
            await asyncio.wait([turn.task])

    async def abort(self, session_id: str) -> None:
        """Stop the session's turn, its tools and its sub-agents; nothing to stop is fine."""
        turn = self._turns.get(session_id)
        if turn is not None and turn.task is not None:
            turn.abort()
            await asyncio.wait([turn.task])

    async def dispose(self, directory: str | None = None) -> None:
        """Abort every turn (of a folder), and forget settings and permissions."""
        for session_id, turn in list(self._turns.items()):
            if directory in (None, turn.directory):
                await self.abort(session_id)
        self._projects.clear()
        self.asks = Asks(self.bus)

    # ---- messages

    def _user_message(
        self, session: Document, body: Document, agent: str, model: Document
    ) -> Document:
        info: Document = {
            "id": body.get("messageID") or identifier("msg"),
            "sessionID": session["id"],
            "role": "user",
            "time": {"created": now_ms()},
            "agent": agent,
            "model": model,
        }
        if body.get("system"):
            info["system"] = body["system"]
        message: Document = {"info": info, "parts": self._parts(info, body["parts"])}
        self.store.put_message(message)
        directory = session["directory"]
        told = {"sessionID": session["id"]}
        self.bus.publish(directory, "message.updated", told | {"info": info})
        for part in message["parts"]:
            properties = told | {"part": part, "time": now_ms()}
            self.bus.publish(directory, "message.part.updated", properties)
        return message

    def _parts(self, info: Document, given: list[Document]) -> list[Document]:
        own = {"messageID": info["id"], "sessionID": info["sessionID"]}
        parts = []
        for part in given:
            parts.append({"id": identifier("prt"), **own, **part})
            if part["type"] == "file":
                text = f"Called the Read tool with the following input: {part.get('filename')}"
                added: Document = {"type": "text", "text": text, "synthetic": True}
                parts.append({"id": identifier("prt"), **own, **added})
        return parts

    def _publish_session(self, session: Document) -> None:
        properties = {"sessionID": session["id"], "info": session}
        self.bus.publish(session["directory"], "session.updated", properties)

    def _fail_early(self, session: Document, message: str) -> None:
        """An unknown agent: an error, told twice, and neither `busy` nor `idle`."""
        for detail in (message, f"{message}\n    at resolve (/$bunfs/root/src/index.js:1:2)"):
            error = {"name": "UnknownError", "data": {"message": detail}}
            properties = {"sessionID": session["id"], "error": error}
            self.bus.publish(session["directory"], "session.error", properties)
