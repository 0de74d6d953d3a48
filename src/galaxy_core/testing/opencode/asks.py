"""Permission requests and questions that wait for a person."""

from __future__ import annotations

import asyncio
import fnmatch
from dataclasses import dataclass, field
from typing import Any

from galaxy_core.testing.opencode.bus import Bus
from galaxy_core.testing.opencode.ids import identifier
from galaxy_core.testing.opencode.store import Document


class Rejected(Exception):
    """A person said no; `message` says what to do instead, without one the turn ends."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "rejected")
        self.message = message


@dataclass(eq=False)
class Ask:
    """One request that waits."""

    directory: str
    content: Document
    answer: asyncio.Future[Any] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def id(self) -> str:
        """`per_...` or `que_...`."""
        return str(self.content["id"])

    @property
    def session(self) -> str:
        """The session that asks: a sub-agent's own, not its parent's."""
        return str(self.content["sessionID"])


class Asks:
    """Everything that waits for a person in one process; a new process knows none of it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._permissions: dict[str, Ask] = {}
        self._questions: dict[str, Ask] = {}
        self._always: list[tuple[str, str, str]] = []

    # ---- permissions

    def permissions(self, directory: str) -> list[Document]:
        """What waits in the folder, ghosts of aborted turns included."""
        return [ask.content for ask in self._permissions.values() if ask.directory == directory]

    async def permit(self, directory: str, wanted: Document) -> None:
        """Wait until a person allows it; raises `Rejected`."""
        if self._is_allowed(directory, wanted):
            return
        ask = Ask(directory, {"id": identifier("per")} | wanted)
        self._permissions[ask.id] = ask
        self._bus.publish(directory, "permission.asked", ask.content)
        # When the turn is aborted here the ask is left behind: a ghost, as in the original.
        await ask.answer

    def reply_permission(self, directory: str, ask_id: str, body: Document) -> bool:
        """Answer a request; False when there is none of that id in the folder."""
        ask = self._permissions.get(ask_id)
        if ask is None or ask.directory != directory:
            return False
        reply = body["reply"]
        if reply == "always":
            rules = [(directory, ask.content["permission"], one) for one in ask.content["always"]]
            self._always.extend(rules)
        self._settle(ask, reply, body.get("message"))
        for other in list(self._permissions.values()):
            if reply == "reject" and other.session == ask.session:
                self._settle(other, "reject", None)
            elif reply == "always" and self._is_allowed(other.directory, other.content):
                self._settle(other, "always", None)
        return True

    def _is_allowed(self, directory: str, wanted: Document) -> bool:
        return all(
            any(
                (directory, wanted["permission"]) == (place, permission)
                and fnmatch.fnmatchcase(pattern, rule)
                for place, permission, rule in self._always
            )
            for pattern in wanted["patterns"]
        )

    def _settle(self, ask: Ask, reply: str, message: str | None) -> None:
        del self._permissions[ask.id]
        properties = {"sessionID": ask.session, "requestID": ask.id, "reply": reply}
        self._bus.publish(ask.directory, "permission.replied", properties)
        if ask.answer.done():
            return
        if reply == "reject":
            ask.answer.set_exception(Rejected(message))
        else:
            ask.answer.set_result(None)

    # ---- questions

    def questions(self, directory: str) -> list[Document]:
        """What waits in the folder."""
        return [ask.content for ask in self._questions.values() if ask.directory == directory]

    async def ask(self, directory: str, question: Document) -> list[list[str]]:
        """Wait for the answers, one list for each question; raises `Rejected`."""
        ask = Ask(directory, {"id": identifier("que")} | question)
        self._questions[ask.id] = ask
        self._bus.publish(directory, "question.asked", ask.content)
        answers: list[list[str]] = await ask.answer
        return answers

    def reply_question(self, directory: str, ask_id: str, answers: list[list[str]] | None) -> bool:
        """Answer, or with None refuse to; False when there is none of that id in the folder."""
        ask = self._questions.get(ask_id)
        if ask is None or ask.directory != directory:
            return False
        del self._questions[ask_id]
        properties: Document = {"sessionID": ask.session, "requestID": ask_id}
        if answers is None:
            self._bus.publish(directory, "question.rejected", properties)
            outcome: Rejected | None = Rejected()
        else:
            self._bus.publish(directory, "question.replied", properties | {"answers": answers})
            outcome = None
        if ask.answer.done():
            return True
        if outcome is not None:
            ask.answer.set_exception(outcome)
        else:
            ask.answer.set_result(answers)
        return True
