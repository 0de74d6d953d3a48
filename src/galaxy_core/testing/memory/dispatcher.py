"""A dispatcher whose agent is a script in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta

from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    DispatchRejected,
    RequestNotFound,
)
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.order import DEFAULT_COMMAND
from galaxy_core.domain.run import (
    Answer,
    DispatcherHealth,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    QuestionAsked,
    QuestionReply,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    StepFinished,
    Verdict,
)
from galaxy_core.domain.session import Session
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory.agent import (
    AgentMessage,
    BreakOff,
    Hang,
    MemoryAgent,
    Pause,
    RunState,
)
from galaxy_core.testing.signals import wait_until

_FINDINGS = {
    RunState.RUNNING: Finding.RUNNING,
    RunState.BROKEN_OFF: Finding.BROKEN_OFF,
    RunState.OVER: Finding.FINISHED,
}


@define(eq=False)
class MemoryDispatcher(Dispatcher, AgentCare):
    """One process's way to a `MemoryAgent`; writes are named `dispatcher.<method>`.

    With `can_be_asked` false it behaves like a bare command line: a run ends with its watcher,
    and nobody can say what became of it.
    """

    _clock: Clock
    agent: MemoryAgent = field(factory=MemoryAgent)
    _name: str = field(default="memory", kw_only=True)
    can_be_asked: bool = field(default=True, kw_only=True)
    agents: frozenset[str] | None = field(default=None, kw_only=True)
    """Names of agents and commands that exist besides `general`; None: every name does."""
    models: frozenset[str] | None = field(default=None, kw_only=True)
    """Names of models that exist; None: every name does."""
    faults: Faults = field(factory=Faults, kw_only=True)

    @property
    def name(self) -> str:
        return self._name

    async def prepare(
        self,
        request: RunRequest,
        session: Session | None,
        *,
        attempt: int,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        async with self.faults.around("dispatcher.prepare"):
            self._reach()
            self._choose(request.agent)
            self._choose(request.command)
            if request.model and self.models is not None and request.model not in self.models:
                raise DispatchRejected(f"there is no model {request.model!r}")
            old = (
                session.session_id if session and session.dispatcher in (None, self.name) else None
            )
            is_known = old is not None and old in self.agent.sessions
            session_id = old if old is not None and is_known else self.agent.new_id("ses")
            self.agent.sessions.add(session_id)
            return Ticket(
                dispatcher=self.name,
                session_id=session_id,
                message_id=self.agent.new_id("msg"),
                attempt=attempt,
                kind=kind,
                created_at=self._clock.now(),
                is_session_replaced=bool(session and session.session_id) and not is_known,
            )

    async def find(self, ticket: Ticket) -> Finding:
        async with self.faults.around("dispatcher.find", is_write=False):
            self._reach()
            if not self.can_be_asked:
                return Finding.CANNOT_TELL
            known = self.agent.messages.get(ticket.message_id)
            return Finding.UNKNOWN if known is None else _FINDINGS[known.state]

    async def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent]:
        async with self.faults.around("dispatcher.run"):
            self._reach()
            message = self.agent.accept(
                request,
                session_id=ticket.session_id,
                message_id=ticket.message_id,
                kind=ticket.kind,
            )
        watch = _Watch(self.agent, message, self._clock)
        try:
            yield RunStarted(
                session_id=message.session_id,
                message_id=message.message_id,
                agent=self._choose(request.agent),
                model=request.model,
            )
            async with aclosing(watch.events()) as events:
                async for event in events:
                    yield event
        finally:
            if not self.can_be_asked and message.ended is None:
                message.end(RunEnded(verdict=Verdict.BROKEN_OFF, reason="nobody watched it"))

    async def answer(self, ticket: Ticket, request_id: RequestId, answer: Answer) -> None:
        async with self.faults.around("dispatcher.answer"):
            self._reach()
            message = self.agent.messages.get(ticket.message_id)
            waiting = message.open_request if message else None
            if message is None or waiting is None or waiting.request_id != request_id:
                raise RequestNotFound(f"nobody waits for an answer to {request_id}")
            message.answers[request_id] = answer
            self.agent.changes.notify()

    async def cancel(self, ticket: Ticket) -> None:
        async with self.faults.around("dispatcher.cancel"):
            self._reach()
            message = self.agent.messages.get(ticket.message_id)
            if message is not None and message.state is RunState.RUNNING:
                message.is_cancelled = True
                message.end(RunEnded(verdict=Verdict.CANCELLED, reason="It was cancelled."))
                self.agent.changes.notify()

    async def check(self) -> DispatcherHealth:
        await checkpoint()
        problem = self.agent.problem
        return DispatcherHealth(
            is_ready=problem is None, name=self.name, version="memory", problem=problem
        )

    async def look(self) -> DispatcherHealth | None:
        return await self.check() if self.agent.starts else None

    async def revive(self) -> None:
        await checkpoint()
        self.agent.revive()

    def _reach(self) -> None:
        self.agent.starts = max(1, self.agent.starts)
        if (problem := self.agent.problem) is not None:
            raise DispatcherUnavailable(problem)

    def _choose(self, name: str | None) -> str | None:
        """The agent of this name, or the only one whose name begins so."""
        if not name or name == DEFAULT_COMMAND:
            return None
        if self.agents is None or name in self.agents:
            return name
        found = [known for known in self.agents if known.casefold().startswith(name.casefold())]
        if len(found) != 1:
            raise DispatchRejected(f"there is no agent or command {name!r}, or more than one")
        return found[0]


def _how(answer: Answer) -> str:
    if isinstance(answer, PermissionReply):
        return answer.choice.value
    return "answered" if isinstance(answer, QuestionReply) else "rejected"


@define(eq=False)
class _Watch:
    """Somebody's look at one run: plays the script's remaining steps."""

    _agent: MemoryAgent
    _message: AgentMessage
    _clock: Clock
    _spent: timedelta = timedelta(0)
    """Time of the run so far, waiting for people excluded."""
    _quiet: timedelta = timedelta(0)
    """Time since the last event."""
    _finishes: int = 0
    _unknown_finishes: int = 0

    async def events(self) -> AsyncGenerator[RunEvent]:
        message = self._message
        while message.ended is None:
            await checkpoint()
            step = message.next_step
            if step is None:
                message.end(RunEnded(verdict=Verdict.SUCCEEDED))
            elif isinstance(step, RunEnded):
                message.end(step)
            elif isinstance(step, BreakOff):
                message.end(step.ended)
            elif isinstance(step, Pause | Hang):
                await self._work(step)
            else:
                if isinstance(step, StepFinished):
                    self._count(step)
                self._quiet = timedelta(0)
                async with aclosing(self._tell(step)) as told:
                    async for event in told:
                        yield event
        yield message.ended

    async def _tell(self, event: RunEvent) -> AsyncGenerator[RunEvent]:
        message = self._message
        if not isinstance(event, PermissionRequested | QuestionAsked):
            message.position += 1
            yield event
            return
        if isinstance(event, PermissionRequested) and message.is_allowed(event):
            message.position += 1
            return
        yield event
        await self._wait(lambda: event.request_id in message.answers, None)
        if message.ended is None:
            message.position += 1
            answer = message.answers[event.request_id]
            yield RequestResolved(request_id=event.request_id, how=_how(answer))
            if answer == PermissionReply(choice=PermissionChoice.REJECT):
                self._give_up("a person refused the permission")

    async def _work(self, step: Pause | Hang) -> None:
        """Say nothing for a while, within the limits of the request."""
        message, limits = self._message, self._message.request.limits
        until_end = step.duration if isinstance(step, Pause) else None
        until_limit = _least(
            None if limits.total is None else limits.total - self._spent,
            None if limits.silence is None else limits.silence - self._quiet,
        )
        begun = self._clock.monotonic()
        is_released = await self._wait(
            lambda: isinstance(step, Hang) and step.name in self._agent.released,
            _least(until_end, until_limit),
        )
        passed = timedelta(seconds=self._clock.monotonic() - begun)
        self._spent += passed
        self._quiet += passed
        if message.ended is not None:
            return
        if is_released or (until_end is not None and passed >= until_end):
            message.position += 1
        else:
            self._give_up(f"nothing came of it in {passed.total_seconds():.0f} s")

    async def _wait(self, is_ready: Callable[[], bool], timeout: timedelta | None) -> bool:
        """Wait for `is_ready()` or the end of the run; False when `timeout` came first."""
        is_woken = await wait_until(
            lambda: is_ready() or self._message.ended is not None or bool(self._agent.problem),
            signal=self._agent.changes,
            clock=self._clock,
            timeout=timeout,
        )
        if self._agent.problem is not None:
            raise DispatcherUnavailable(self._agent.problem)
        return is_woken

    def _count(self, step: StepFinished) -> None:
        limits = self._message.request.limits
        self._finishes += 1
        self._unknown_finishes = self._unknown_finishes + 1 if step.reason == "unknown" else 0
        if limits.steps is not None and self._finishes > limits.steps:
            self._give_up(f"it took more than {limits.steps} steps")
        if limits.unknown_finishes is not None and self._unknown_finishes > limits.unknown_finishes:
            self._give_up("the model goes on ending its steps without a reason")

    def _give_up(self, reason: str) -> None:
        self._message.end(
            RunEnded(verdict=Verdict.FAILED, reason=f"The run was given up: {reason}.")
        )


def _least(*durations: timedelta | None) -> timedelta | None:
    return min((d for d in durations if d is not None), default=None)
