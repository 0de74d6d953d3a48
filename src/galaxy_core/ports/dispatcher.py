"""Port: the agent that carries orders out."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from typing import Protocol

from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import Answer, DispatcherHealth, RunEvent, RunRequest
from galaxy_core.domain.session import Session


class Dispatcher(Protocol):
    """Runs one message at a time in an agent's session.

    The caller's order of work, which makes that a crash at any place neither loses nor repeats
    a message: `prepare` -> write the ticket down -> `run`.  After a crash: `find` with the
    ticket that was written down last; then `run` with the same ticket (for unknown, running and
    finished ones), or `prepare` a continuation (for one that broke off).

    Methods may be called concurrently for different sessions; the caller never has two runs in
    one session.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of this kind of agent, as `Session.dispatcher` and audit lines show it."""

    @abstractmethod
    async def prepare(
        self,
        request: RunRequest,
        session: Session | None,
        *,
        attempt: int,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        """Choose the session and the message's id; sends nothing to the model.

        Uses `session` if the agent still knows it, else makes a new one, and says so in
        `Ticket.is_session_replaced`.  May start the agent's server.  A session made here and
        never used is harmless.

        Raises `DispatchRejected` (unknown agent, model, command), `DispatcherUnavailable`.
        """

    @abstractmethod
    async def find(self, ticket: Ticket) -> Finding:
        """Ask the agent about the ticket's message.  Raises `DispatcherUnavailable`."""

    @abstractmethod
    def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        """Have the message carried out and tell how it goes; the last event is `RunEnded`.

        Idempotent: a message that the agent knows is not sent again; the events then begin at
        what can still be told, and end with the whole answer.  Keeps the limits of the request,
        and aborts the run when one is passed.  Closing the iterator early (also by
        cancellation) leaves a run going that the agent can carry on without us, and ends one
        that it cannot.

        Raises `DispatcherUnavailable` when nothing is known to have been sent, or when it
        became unreachable for good while it ran (the next attempt will ask); `DispatchRejected`.
        """
        ...

    @abstractmethod
    async def answer(self, ticket: Ticket, request_id: RequestId, answer: Answer) -> None:
        """Give a person's answer to the running agent.

        Raises `RequestNotFound` when nobody waits for it (any more), `DispatcherUnavailable`.
        """

    @abstractmethod
    async def cancel(self, ticket: Ticket) -> None:
        """Stop the run and see that it has stopped, its tools included.

        Safe twice and when nothing runs.  `run` then ends with `Verdict.CANCELLED`.
        """

    @abstractmethod
    async def check(self) -> DispatcherHealth:
        """Whether the agent can take work; never raises, answers within seconds."""
