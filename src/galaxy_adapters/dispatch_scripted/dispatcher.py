"""The dispatcher: the port's methods over an agent that lives in this process."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from attrs import evolve

from galaxy_adapters.dispatch_scripted.memory import Memory, Message
from galaxy_adapters.dispatch_scripted.run import LABEL, Run
from galaxy_adapters.dispatch_scripted.script import parse
from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.errors import DispatcherUnavailable, RequestNotFound
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Answer,
    DispatcherHealth,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    TextAppended,
    Verdict,
)
from galaxy_core.domain.session import Session
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.dispatcher import Dispatcher

__all__ = ["LABEL", "ScriptedDispatcher"]

NAME = "scripted"
VERSION = "1 (demo, asks no model)"


class ScriptedDispatcher(Dispatcher):
    """A built-in agent for first tries: it plays the script that it finds in the prompt.

    With a `file` its sessions and answers outlive the process; without one a restarted Hermes
    cannot ask it about an earlier run.
    """

    def __init__(self, clock: Clock, file: Path | None = None) -> None:
        self._clock = clock
        self._memory = Memory(file)
        self._prepared: set[str] = set()
        self._runs: dict[str, Run] = {}
        self._allowed: dict[str, set[str]] = {}

    @property
    def name(self) -> str:
        return NAME

    async def prepare(
        self,
        request: RunRequest,  # noqa: ARG002 - any folder, agent and model will do
        session: Session | None,
        *,
        attempt: int,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        wanted = session.session_id if session and session.dispatcher in (None, NAME) else None
        kept = wanted if wanted in self._memory.sessions else None
        session_id = kept or f"scripted_{secrets.token_hex(8)}"
        self._memory.use(session_id)
        message_id = f"message_{secrets.token_hex(8)}"
        self._prepared.add(message_id)
        self._memory.save()
        return Ticket(
            dispatcher=NAME,
            session_id=session_id,
            message_id=message_id,
            attempt=attempt,
            kind=kind,
            created_at=self._clock.now(),
            is_session_replaced=kept is None and bool(session and session.session_id),
        )

    async def find(self, ticket: Ticket) -> Finding:
        if ticket.message_id in self._runs:
            return Finding.RUNNING
        message = self._memory.messages.get(ticket.message_id)
        if message is not None:
            return Finding.BROKEN_OFF if message.verdict is None else Finding.FINISHED
        is_remembered = self._memory.is_lasting or ticket.message_id in self._prepared
        return Finding.UNKNOWN if is_remembered else Finding.CANNOT_TELL

    async def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        if ticket.message_id in self._runs:
            raise DispatcherUnavailable(f"The run {ticket.message_id} is being followed already.")
        yield RunStarted(session_id=ticket.session_id, message_id=ticket.message_id)
        known = self._memory.messages.get(ticket.message_id)
        if known is not None:
            yield TextAppended(text=known.text, part="again")
            yield _ended_again(known)
            return
        async with aclosing(self._play(request, ticket)) as events:
            async for event in events:
                yield event

    async def _play(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        number = self._memory.use(ticket.session_id, prompts=1)
        self._prepared.discard(ticket.message_id)
        message = Message(session=ticket.session_id, digest=digest(request.prompt))
        self._memory.messages[ticket.message_id] = message
        self._memory.save()
        run = Run(
            name=ticket.message_id,
            lines=parse(request.prompt, number),
            limits=request.limits,
            clock=self._clock,
            allowed=self._allowed_in(ticket.session_id),
        )
        self._runs[ticket.message_id] = run
        try:
            async with aclosing(run.events()) as events:
                async for event in events:
                    if isinstance(event, RunEnded):
                        message.verdict, message.reason = event.verdict, event.reason
                        message.text = event.text
                        self._memory.save()
                        yield evolve(event, session_id=ticket.session_id)
                    else:
                        yield event
        finally:
            self._runs.pop(ticket.message_id, None)

    def _allowed_in(self, session_id: str) -> set[str]:
        """What was allowed for good in a session; forgotten with it."""
        for forgotten in self._allowed.keys() - self._memory.sessions.keys():
            del self._allowed[forgotten]
        return self._allowed.setdefault(session_id, set())

    async def answer(self, ticket: Ticket, request_id: RequestId, answer: Answer) -> None:
        run = self._runs.get(ticket.message_id)
        if run is None or run.waiting.get(request_id, answer) is not None:
            raise RequestNotFound(f"Nobody waits for an answer to {request_id}.")
        run.waiting[request_id] = answer
        run.wake()

    async def cancel(self, ticket: Ticket) -> None:
        run = self._runs.get(ticket.message_id)
        if run is not None:
            run.is_cancelled = True
            run.wake()

    async def check(self) -> DispatcherHealth:
        return DispatcherHealth(is_ready=True, name=NAME, version=VERSION)


def digest(prompt: str) -> str:
    """A prompt's name in the memory."""
    return hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()


def _ended_again(message: Message) -> RunEnded:
    return RunEnded(
        verdict=message.verdict or Verdict.BROKEN_OFF,
        text=message.text,
        reason=message.reason if message.verdict else "The agent was stopped in the middle.",
        session_id=message.session,
    )
