"""What `DispatcherContract` needs to know about an agent, and how it makes it do things.

An adapter's test writes one harness.  Prompts are scripts of `galaxy_core.testing.script` unless
the harness says otherwise, so any dispatcher whose model is the scripted one needs only the
abstract methods.
"""

from __future__ import annotations

import abc
import os
import shlex
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, TypeVar

import anyio
from attrs import define, field, frozen

from galaxy_core.domain.delivery import Ticket, TicketKind
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.run import RunEnded, RunEvent, RunLimits, RunRequest
from galaxy_core.domain.session import Session
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.contracts.contract import Contract
from galaxy_core.testing.factories import unique
from galaxy_core.testing.opencode_project import NAMED_AGENT

_Event = TypeVar("_Event", bound=RunEvent)

_LOOK_EVERY = 0.02
"""Seconds between two looks at something that tells of no change."""


@frozen(kw_only=True)
class DispatcherFeatures:
    """What an agent can do; tests of what it cannot are skipped, visibly."""

    can_be_asked: bool = True
    """`find` tells what became of a message."""
    outlives_caller: bool = True
    """A run goes on when the caller dies, and is found again."""
    keeps_sessions: bool = True
    """Later prompts see the earlier ones, and sessions outlive the caller."""
    replaces_sessions: bool = True
    """A session that the agent does not know is replaced in `prepare`."""
    streams_text: bool = True
    """Text arrives in pieces while it is written."""
    runs_tools: bool = True
    """The agent runs shell commands, files and todo lists."""
    counts_steps: bool = True
    """`StepFinished` comes, and limits on steps are kept."""
    chooses_agents: bool = True
    """Agents have names: unknown ones and sub-agents are rejected, prefixes are found."""
    asks_permissions: bool = True
    """A person can be asked before a tool runs; without it such a tool is refused."""
    asks_questions: bool = True
    """The agent can ask a person."""
    fails: bool = True
    """The model's provider can fail."""
    reports_usage: bool = True
    """Tokens are counted."""
    lives_apart: bool = True
    """The agent is a process of its own, which can die while its caller lives."""


class DispatcherHarness(abc.ABC):
    """One agent under test, in a project folder of its own."""

    dispatcher: Dispatcher
    """As made by a caller that lives; `crash_caller` gives its successor."""
    directory: Path
    """The project folder; files that tools make lie in it, where no agent asks for permission."""
    asking_directory: Path
    """A project in which shell commands need a person's permission; may be `directory`."""
    patience: timedelta = timedelta(seconds=30)
    """How long any one run may take."""
    named_agent: str = NAMED_AGENT
    sub_agent: str = "explore"

    # ---- what an adapter's test has to write

    @abc.abstractmethod
    async def count(self, prompt: str) -> int:
        """How often the model was given exactly this prompt to begin on."""

    @abc.abstractmethod
    async def crash_caller(self) -> Dispatcher:
        """End the caller as `kill -9` does, and give the dispatcher that its successor makes.

        Runs of the old one are cancelled by the suite afterwards.
        """

    @abc.abstractmethod
    async def crash_agent(self) -> None:
        """End the agent as `kill -9` does; it may be started again when it is needed."""

    # ---- scripts: prompts that make the agent do something

    def echoes(self, text: str | None = None) -> str:
        """Answer with the prompt itself, and the number of prompts of the session before it."""
        return text or unique("Please repeat this")

    def hangs(self) -> str:
        """Begin, and never say anything."""
        return f"{unique('Wait')}\nSLEEP 600\nSAY never"

    def runs(self, *commands: str) -> str:
        """Run the shell commands, one a step, then say `all done`."""
        calls = "\n".join(f"CALL bash: {command}" for command in commands)
        return f"{unique('Run')}\n{calls}\nSAY all done"

    def says_slowly(self, text: str) -> str:
        """Say the text word by word."""
        return f"{unique('Slowly')}\nSLOW 0.02\nSAY {text}"

    def plans(self) -> str:
        """Make a todo list: `one` is done, `two` is not."""
        return f"{unique('Plan')}\nTODO one+ | two\nSAY all done"

    def asks(self, question: str, *options: str) -> str:
        """Ask a person, then say `all done`."""
        return f"{unique('Ask')}\nASK {question} | {' | '.join(options)}\nSAY all done"

    def fails(self, message: str) -> str:
        """The provider refuses the prompt for good."""
        return f"{unique('Fail')}\nFAIL 400 {message}"

    def babbles(self) -> str:
        """The provider answers with rubbish, again and again."""
        return f"{unique('Babble')}\nFAIL garbage"

    # ---- time

    async def pause(self) -> None:
        """Let a moment pass before the suite looks again."""
        await anyio.sleep(_LOOK_EVERY)

    async def elapse(self, duration: timedelta) -> None:  # noqa: B027 - real time needs no push
        """Let time pass for the dispatcher; by itself where it goes by the real clock."""

    # ---- shorthands of the suite

    def request(
        self,
        prompt: str,
        *,
        agent: str | None = None,
        model: str | None = None,
        limits: RunLimits | None = None,
        directory: Path | None = None,
    ) -> RunRequest:
        """An order's message, in the project's folder."""
        return RunRequest(
            order_id=OrderId(unique("order")),
            prompt=prompt,
            directory=directory or self.directory,
            agent=agent,
            model=model,
            limits=limits or RunLimits(total=self.patience),
            title="Contract test",
        )

    async def prepare(
        self,
        request: RunRequest,
        after: Ticket | None = None,
        *,
        dispatcher: Dispatcher | None = None,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        """A ticket in a new session, or in the session of the ticket `after`."""
        session = self.session(after.session_id) if after else None
        chosen = dispatcher or self.dispatcher
        with anyio.fail_after(self.patience.total_seconds()):
            return await chosen.prepare(request, session, attempt=1, kind=kind)

    def session(self, session_id: str) -> Session:
        """A conversation that was served in that session."""
        return Session(
            conversation=ConversationKey(unique("conversation")),
            session_id=session_id,
            dispatcher=self.dispatcher.name,
        )

    async def run(
        self, request: RunRequest, ticket: Ticket, *, dispatcher: Dispatcher | None = None
    ) -> Watched:
        """Carry the message out to its end."""
        watched = Watched(dispatcher or self.dispatcher, request, ticket, self.patience)
        await watched.follow()
        return watched

    async def run_new(self, prompt: str, after: Ticket | None = None) -> tuple[Ticket, Watched]:
        """Prepare a prompt and carry it out."""
        request = self.request(prompt)
        ticket = await self.prepare(request, after)
        return ticket, await self.run(request, ticket)

    def watch(self, request: RunRequest, ticket: Ticket) -> Watched:
        """A run that a task follows: `tasks.start_soon(watched.follow)`."""
        return Watched(self.dispatcher, request, ticket, self.patience)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Look again and again until `is_so()`."""
        with anyio.fail_after(self.patience.total_seconds()):
            while not is_so():
                await self.pause()

    async def reached(self, prompt: str) -> None:
        """Wait until the model has been given the prompt."""
        with anyio.fail_after(self.patience.total_seconds()):
            while not await self.count(prompt):
                await self.pause()


@define(eq=False)
class Watched:
    """One run and what it told."""

    _dispatcher: Dispatcher
    request: RunRequest
    ticket: Ticket
    _patience: timedelta
    events: list[RunEvent] = field(factory=list, init=False)
    _change: anyio.Event = field(factory=anyio.Event, init=False)

    async def follow(self) -> None:
        """Collect the events to the end; checks what holds for every run."""
        with anyio.fail_after(self._patience.total_seconds()):
            async with aclosing(self._dispatcher.run(self.request, self.ticket)) as run:
                async for event in run:
                    self.events.append(event)
                    self._change.set()
                    self._change = anyio.Event()
        ends = [number for number, event in enumerate(self.events) if isinstance(event, RunEnded)]
        assert ends == [len(self.events) - 1], "a run ends once, and nothing follows"

    async def seen(self, kind: type[_Event], number: int = 1) -> _Event:
        """Wait for the event of this kind with that number, from 1."""
        with anyio.fail_after(self._patience.total_seconds()):
            while len(found := self.of(kind)) < number:
                await self._change.wait()
        return found[number - 1]

    def of(self, kind: type[_Event]) -> list[_Event]:
        """Events of this kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def ended(self) -> RunEnded:
        """How it ended; only once it has."""
        last = self.events[-1]
        assert isinstance(last, RunEnded)
        return last


def quoted(path: Path) -> str:
    """The path as a word of a shell command."""
    return shlex.quote(str(path))


def sleeper(pid_file: Path) -> str:
    """A shell command that writes its process id down and goes on for long."""
    return f"echo $$ > {quoted(pid_file)}; exec sleep 300"


def is_alive(pid_file: Path) -> bool:
    """Whether the process that wrote the file still runs."""
    pid = int(pid_file.read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    # A zombie has ended; only its parent has not been told yet.
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


class DispatcherSuite(Contract):
    """What the parts of the contract share."""

    features: ClassVar[DispatcherFeatures] = DispatcherFeatures()
