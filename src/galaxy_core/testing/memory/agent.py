"""The agent behind `MemoryDispatcher`: sessions and messages that outlive whoever asked.

A run is a script.  Time in it passes on the caller's clock and only while somebody watches; a
test that wants a run to end unwatched says so (`finish_unwatched`).
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from attrs import define, evolve, field, frozen

from galaxy_core.domain.delivery import TicketKind
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import (
    Answer,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    QuestionAsked,
    RunEnded,
    RunEvent,
    RunRequest,
    TextAppended,
    Verdict,
)
from galaxy_core.testing.signals import Signal


@frozen
class Pause:
    """The agent works for a while and says nothing."""

    duration: timedelta


@frozen
class Hang:
    """The agent says nothing until the test releases it, or the run is ended."""

    name: str = "hang"


@frozen
class BreakOff:
    """The run stops in the middle for a passing reason."""

    reason: str = "the agent went away in the middle"
    retry_after: timedelta | None = None

    @property
    def ended(self) -> RunEnded:
        """The event that tells of it."""
        return RunEnded(
            verdict=Verdict.BROKEN_OFF, reason=self.reason, retry_after=self.retry_after
        )


Step: TypeAlias = RunEvent | Pause | Hang | BreakOff


@frozen
class Script:
    """What the agent does with one message.

    A `PermissionRequested` or `QuestionAsked` among the steps waits for its answer.  A permission
    refused without a word ends the run as failed; one that was given for `always` is not asked
    for again.  Without a
    `RunEnded` or `BreakOff` at its end the run succeeds with the text of its `TextAppended`s.
    """

    steps: tuple[Step, ...] = ()

    @classmethod
    def saying(cls, text: str) -> Script:
        """Answer with `text`, and nothing else."""
        return cls((TextAppended(text=text, part="part-1"),))

    @classmethod
    def failing(cls, reason: str) -> Script:
        """Fail in a way that trying again would not help."""
        return cls((RunEnded(verdict=Verdict.FAILED, reason=reason),))


Playwright: TypeAlias = Callable[[RunRequest, int], Script]
"""Makes a script for a message: the request, and how many messages its session has with it."""


class RunState(enum.Enum):
    """Where a message stands at the agent."""

    RUNNING = enum.auto()
    BROKEN_OFF = enum.auto()
    OVER = enum.auto()


@define(eq=False)
class AgentMessage:
    """One message that reached the agent, and how its run gets on."""

    message_id: str
    session_id: str
    request: RunRequest
    kind: TicketKind
    script: Script
    state: RunState = RunState.RUNNING
    position: int = 0
    """Number of steps done."""
    ended: RunEnded | None = None
    answers: dict[RequestId, Answer] = field(factory=dict)
    is_cancelled: bool = False

    @property
    def text(self) -> str:
        """What the agent has said so far."""
        done = self.script.steps[: self.position]
        return "".join(step.text for step in done if isinstance(step, TextAppended))

    def is_allowed(self, wanted: PermissionRequested) -> bool:
        """Whether a person has allowed such things for good."""
        return any(
            isinstance(step, PermissionRequested)
            and step.permission == wanted.permission
            and self.answers.get(step.request_id) == PermissionReply(choice=PermissionChoice.ALWAYS)
            for step in self.script.steps[: self.position]
        )

    @property
    def next_step(self) -> Step | None:
        """What the agent does next; None when the script is over."""
        steps = self.script.steps
        return steps[self.position] if self.position < len(steps) else None

    @property
    def open_request(self) -> PermissionRequested | QuestionAsked | None:
        """The request that waits for a person now."""
        step = self.next_step
        if self.ended is not None or not isinstance(step, PermissionRequested | QuestionAsked):
            return None
        return None if step.request_id in self.answers else step

    def end(self, ended: RunEnded) -> RunEnded:
        """The run is over; text, names and tokens are filled in where the script has none."""
        text = ended.text or self.text
        counted = Usage(
            input_tokens=len(self.request.prompt.split()), output_tokens=len(text.split())
        )
        self.ended = evolve(
            ended,
            text=text,
            session_id=ended.session_id or self.session_id,
            usage=ended.usage if ended.usage.total_tokens else counted,
        )
        is_broken = self.ended.verdict is Verdict.BROKEN_OFF
        self.state = RunState.BROKEN_OFF if is_broken else RunState.OVER
        return self.ended


@define(eq=False)
class MemoryAgent:
    """The agent's own memory: make one, and a new `MemoryDispatcher` for each "process"."""

    changes: Signal = field(factory=Signal)
    messages: dict[str, AgentMessage] = field(factory=dict)
    """By message id, in the order in which they arrived: what the model has seen."""
    sessions: set[str] = field(factory=set)
    scripts: dict[str, tuple[Script, ...]] = field(factory=dict)
    default: Script | Playwright | None = None
    """For prompts without a script; None echoes them."""
    problem: str | None = None
    """Why the agent cannot be reached now; None while it can."""
    starts: int = 0
    """How often it was started: when it was first needed, and each time it was revived."""
    released: set[str] = field(factory=set)
    _plays: dict[str, int] = field(factory=dict)
    """How many scripts of each prompt have begun."""
    _numbers: itertools.count[int] = field(factory=lambda: itertools.count(1))

    def script(self, prompt: str, *scripts: Script) -> None:
        """What to do when `prompt` arrives: the first time, the second time, ...; then the last.

        A continuation plays the next script of the prompt that it continues, and is a prompt of
        its own when there is no next one.
        """
        self.scripts[prompt] = scripts
        self._plays[prompt] = 0

    @property
    def prompts(self) -> list[str]:
        """Every prompt the model has seen, in order; what must hold an order's prompt once."""
        return [message.request.prompt for message in self.messages.values()]

    def go_down(self, problem: str = "the agent is not running") -> None:
        """Cannot be reached from now on; runs that are watched break for their watchers."""
        self.problem = problem
        self.changes.notify()

    def come_up(self) -> None:
        """Can be reached again, and remembers everything."""
        self.problem = None
        self.changes.notify()

    def revive(self) -> None:
        """Replace an agent that cannot be reached: what ran is broken off."""
        if self.problem is not None and self.starts:
            self.starts += 1
            self.break_off()
            self.come_up()

    def break_off(self) -> None:
        """The agent's process dies and comes back: what ran is broken off, sessions are kept."""
        for message in self.running:
            message.end(RunEnded(verdict=Verdict.BROKEN_OFF, reason="the agent was restarted"))
        self.changes.notify()

    def finish_unwatched(self) -> None:
        """Everything that runs and waits for nobody ends as its script says."""
        for message in self.running:
            while (step := message.next_step) is not None and message.open_request is None:
                if isinstance(step, RunEnded | BreakOff):
                    break
                message.position += 1
            if isinstance(step, RunEnded):
                message.end(step)
            elif isinstance(step, BreakOff):
                message.end(step.ended)
            elif step is None:
                message.end(RunEnded(verdict=Verdict.SUCCEEDED))
        self.changes.notify()

    def release(self, name: str = "hang") -> None:
        """Let runs that hang under this name go on."""
        self.released.add(name)
        self.changes.notify()

    def forget_session(self, session_id: str) -> None:
        """The session is gone, as when a person deletes it."""
        self.sessions.discard(session_id)

    @property
    def running(self) -> Sequence[AgentMessage]:
        """Messages that the agent works on."""
        return [m for m in self.messages.values() if m.state is RunState.RUNNING]

    def new_id(self, stem: str) -> str:
        """A name for a session or a message."""
        return f"{stem}_{next(self._numbers):06d}"

    def accept(
        self, request: RunRequest, *, session_id: str, message_id: str, kind: TicketKind
    ) -> AgentMessage:
        """A message arrives; one that is known already is not begun again."""
        known = self.messages.get(message_id)
        if known is None:
            known = AgentMessage(
                message_id=message_id,
                session_id=session_id,
                request=request,
                kind=kind,
                script=self._next_script(request, session_id, kind),
            )
            self.messages[message_id] = known
            self.changes.notify()
        return known

    def _next_script(self, request: RunRequest, session_id: str, kind: TicketKind) -> Script:
        prompt = request.prompt
        if kind is TicketKind.CONTINUATION:
            earlier = [m for m in self.messages.values() if m.session_id == session_id]
            prompt = next(
                (m.request.prompt for m in earlier if m.kind is TicketKind.PROMPT), prompt
            )
        planned, play = self.scripts.get(prompt, ()), self._plays.get(prompt, 0)
        is_new_prompt = kind is TicketKind.PROMPT
        if planned and (is_new_prompt or play < len(planned)):
            self._plays[prompt] = play + 1
            return planned[min(play, len(planned) - 1)]
        if callable(self.default):
            number = 1 + sum(m.session_id == session_id for m in self.messages.values())
            return self.default(request, number)
        return self.default or Script.saying(f"Echo: {request.prompt}")
