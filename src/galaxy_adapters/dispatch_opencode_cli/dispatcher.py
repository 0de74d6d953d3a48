"""The dispatcher: the port's methods over `opencode run`."""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import anyio
from attrs import evolve, frozen

from galaxy_adapters._opencode import Choice, Offer, choose, is_same_folder
from galaxy_adapters._opencode.verdict import Aftermath, judge
from galaxy_adapters._processes import end_marked
from galaxy_adapters.dispatch_opencode_cli.commands import (
    DEFAULT_AGENT,
    Commands,
    SessionContent,
)
from galaxy_adapters.dispatch_opencode_cli.launch import Launch, attached_files
from galaxy_adapters.dispatch_opencode_cli.locks import session_lock
from galaxy_adapters.dispatch_opencode_cli.run import Run
from galaxy_adapters.dispatch_opencode_cli.tickets import (
    MARKER,
    Errand,
    digest,
    errand_of,
    new_run_id,
    new_session_id,
    sent_text,
)
from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.errors import DispatcherUnavailable, DispatchRejected, RequestNotFound
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.order import DEFAULT_COMMAND
from galaxy_core.domain.run import (
    Answer,
    DispatcherHealth,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    TextAppended,
    UsageReported,
    Verdict,
)
from galaxy_core.domain.session import Session
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.dispatcher import Dispatcher

NAME = "opencode-cli"

_KINDS = frozenset({None, NAME, "opencode", "opencode-server"})
"""Kinds of agent whose session ids may be opencode's; the session itself is then looked for."""
_NO_CHOICE = frozenset({None, "", DEFAULT_COMMAND})
"""Names that mean no agent or command in particular."""
_SESSION = re.compile(r"ses_[0-9A-Za-z]+")
_OFFER_LIFE_SECONDS = 300.0
"""How long a project's agents and models are taken as they were; asking costs 2 s for each."""
_HAS_SUBREAPERS = sys.platform == "linux"
"""Elsewhere a supervisor cannot see a process that left its family: the marker finds it."""
_CHECK_PATIENCE = timedelta(seconds=10)


@frozen(kw_only=True)
class OpencodeCliSettings:
    """What is run, and with how much patience."""

    binary: str | Path | None = None
    """Path or name of opencode; None looks for it."""
    agent: str | None = None
    """The agent where neither order nor conversation names one."""
    model: str | None = None
    """The model where neither order nor conversation names one."""
    grace: timedelta = timedelta(seconds=3)
    """Between TERM and KILL."""
    patience: timedelta = timedelta(seconds=30)
    """How long to wait for another process that works in the same session."""


@frozen(kw_only=True)
class _Known:
    """What was last seen of a session, so that it need not be asked for again."""

    directory: str
    newest: str | None


@frozen(kw_only=True)
class _Wanted:
    """Which lists an order needs."""

    directory: str
    has_agents: bool
    has_models: bool


class OpencodeCliDispatcher(Dispatcher):
    """`Dispatcher` on `opencode run`: one process an order, nothing that stays.

    `state` is a folder for locks; dispatchers of all processes that may use the same sessions
    share it.  `environment` is what opencode gets, without what is Galaxy's own.
    """

    def __init__(
        self,
        *,
        state: Path,
        environment: Mapping[str, str],
        clock: Clock,
        settings: OpencodeCliSettings | None = None,
    ) -> None:
        self._settings = settings or OpencodeCliSettings()
        self._state = state
        self._environment = environment
        self._clock = clock
        self._commands = Commands(setting=self._settings.binary, environment=environment)
        self._offers: dict[_Wanted, tuple[float, Offer]] = {}
        self._known: dict[str, _Known] = {}
        self._fresh: set[str] = set()
        """Runs that were certainly not sent yet."""
        self._runs: dict[str, Run] = {}

    @property
    def name(self) -> str:
        return NAME

    # ---- before

    async def prepare(
        self,
        request: RunRequest,
        session: Session | None,
        *,
        attempt: int,
        kind: TicketKind = TicketKind.PROMPT,
    ) -> Ticket:
        if not request.directory.is_dir():
            raise DispatchRejected(f"The project folder {request.directory} does not exist.")
        attached_files(request)
        directory = request.directory.absolute()
        choice = await self._choice(request, session, directory)
        kept = await self._usable(session, directory)
        session_id = kept or await self._new_session(request, directory)
        # "Go on" is said to the agent; a command itself is not begun again.
        command = choice.command if kind is TicketKind.PROMPT else None
        errand = Errand(
            session=session_id,
            run=new_run_id(),
            directory=str(directory),
            prompt_digest=digest(sent_text(request.prompt)) if command is None else None,
            after=self._known[session_id].newest,
            agent=None if choice.agent == DEFAULT_AGENT else choice.agent,
            model=choice.model,
            command=command,
        )
        self._fresh.add(errand.run)
        return Ticket(
            dispatcher=NAME,
            session_id=session_id,
            message_id=errand.run,
            attempt=attempt,
            kind=kind,
            created_at=self._clock.now(),
            is_session_replaced=kept is None and bool(session and session.session_id),
            data=errand.data,
        )

    async def _choice(
        self, request: RunRequest, session: Session | None, directory: Path
    ) -> Choice:
        chosen_agent = session.agent if session else None
        names = (request.command, request.agent, chosen_agent, self._settings.agent)
        model = request.model or (session.model if session else None) or self._settings.model
        wanted = _Wanted(
            directory=str(directory),
            has_agents=any(name not in _NO_CHOICE for name in names),
            has_models=bool(model),
        )
        try:
            return self._choose(await self._offer(wanted), request, session)
        except DispatchRejected:
            # What is asked for may have been added since the list was read.
            self._offers.pop(wanted, None)
        return self._choose(await self._offer(wanted), request, session)

    def _choose(self, offer: Offer, request: RunRequest, session: Session | None) -> Choice:
        return choose(
            offer,
            request,
            session,
            default_agent=self._settings.agent,
            default_model=self._settings.model,
        )

    async def _offer(self, wanted: _Wanted) -> Offer:
        """What can be chosen in the project, read again from time to time."""
        known = self._offers.get(wanted)
        if known is not None and anyio.current_time() - known[0] < _OFFER_LIFE_SECONDS:
            return known[1]
        offer = await self._commands.offer(
            Path(wanted.directory), has_agents=wanted.has_agents, has_models=wanted.has_models
        )
        self._offers[wanted] = (anyio.current_time(), offer)
        return offer

    async def _usable(self, session: Session | None, directory: Path) -> str | None:
        """The conversation's session if it can take the next message; None when another has to."""
        if session is None or session.dispatcher not in _KINDS:
            return None
        session_id = session.session_id or ""
        if not _SESSION.fullmatch(session_id):
            return None
        if session_id not in self._known:
            content = await self._commands.session(directory, session_id)
            if content is None:
                return None
            self._remember(session_id, content)
        # A session works in the folder that it was made in, whatever is asked of it.
        is_here = is_same_folder(self._known[session_id].directory, str(directory))
        return session_id if is_here else None

    async def _new_session(self, request: RunRequest, directory: Path) -> str:
        session_id = new_session_id()
        title = request.title or f"Order {request.order_id}"
        await self._commands.new_session(directory, session_id, title, self._clock.now())
        self._known[session_id] = _Known(directory=str(directory), newest=None)
        return session_id

    def _remember(self, session_id: str, content: SessionContent) -> None:
        self._known[session_id] = _Known(directory=content.directory, newest=content.newest)

    # ---- asking

    async def find(self, ticket: Ticket) -> Finding:
        if ticket.message_id in self._runs:
            return Finding.RUNNING
        errand = errand_of(ticket)
        if ticket.dispatcher != NAME or not _SESSION.fullmatch(errand.session):
            return Finding.UNKNOWN
        # The lock comes free when the supervisor of a dead Hermes has ended its run.
        async with session_lock(self._state, errand.session, self._settings.patience):
            await self._end_leftovers(errand)
            content = await self._commands.session(Path(errand.directory), errand.session)
        if content is None:
            return Finding.CANNOT_TELL
        behind = errand.answers(content.messages)
        if behind is None:
            self._fresh.add(errand.run)
            return Finding.UNKNOWN
        self._remember(errand.session, content)
        is_finished = Aftermath(messages=tuple(behind)).own().is_finished
        return Finding.FINISHED if is_finished else Finding.BROKEN_OFF

    async def _end_leftovers(self, errand: Errand) -> None:
        """End what a supervisor left that was itself killed; the marker tells whose it is."""
        left = await end_marked(MARKER, errand.run, grace=self._settings.grace)
        if left:
            raise DispatcherUnavailable(
                f"Processes of an earlier attempt cannot be ended: {[one.pid for one in left]}."
            )

    # ---- running

    async def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        errand = errand_of(ticket)
        if errand.run in self._runs:
            raise DispatcherUnavailable(f"The run {errand.run} is being followed already.")
        run = Run(request=request, errand=errand)
        self._runs[errand.run] = run
        try:
            async with (
                session_lock(self._state, errand.session, self._settings.patience) as lock,
                aclosing(self._told_or_sent(run, lock)) as events,
            ):
                async for event in events:
                    yield event
        finally:
            self._runs.pop(errand.run, None)

    async def _told_or_sent(self, run: Run, lock: int) -> AsyncGenerator[RunEvent, None]:
        errand = run.errand
        if errand.run not in self._fresh:
            content = await self._commands.session(Path(errand.directory), errand.session)
            behind = errand.answers(content.messages) if content is not None else None
            if behind is not None:
                for event in _told_again(errand, Aftermath(messages=tuple(behind)).own()):
                    yield event
                return
        # Whatever comes of it, from now on it may have been sent.
        self._fresh.discard(errand.run)
        if run.is_cancelled:
            yield RunEnded(verdict=Verdict.CANCELLED, reason="It was cancelled.")
            return
        async with aclosing(self._sent(run, lock)) as events:
            async for event in events:
                yield event

    async def _sent(self, run: Run, lock: int) -> AsyncGenerator[RunEvent, None]:
        errand = run.errand
        launch = Launch(
            binary=self._commands.binary(),
            environment=self._environment,
            state=self._state,
            grace=self._settings.grace,
            now=self._clock.now(),
        )
        # Until the run has come to its end nobody knows what the session holds.
        known = self._known.pop(errand.session, None)
        try:
            async with (
                launch.process(run.request, errand, lock) as process,
                aclosing(run.events(process)) as events,
            ):
                async for event in events:
                    if isinstance(event, RunEnded) and event.verdict is Verdict.SUCCEEDED and known:
                        newest = run.transcript.last_message or known.newest
                        self._known[errand.session] = evolve(known, newest=newest)
                    yield event
        finally:
            if not _HAS_SUBREAPERS or run.was_killed:
                with anyio.CancelScope(shield=True):
                    await self._end_leftovers(errand)
        if run.is_session_lost:
            raise DispatcherUnavailable(
                f"opencode does not know the session {errand.session} any more; "
                "the next attempt begins a new one."
            )

    async def answer(
        self,
        ticket: Ticket,  # noqa: ARG002 - the port's
        request_id: RequestId,
        answer: Answer,  # noqa: ARG002 - the port's
    ) -> None:
        raise RequestNotFound(f"Nobody waits for {request_id}: opencode run does not ask people.")

    async def cancel(self, ticket: Ticket) -> None:
        run = self._runs.get(ticket.message_id)
        if run is not None:
            await run.cancel()
        else:
            await self._end_leftovers(errand_of(ticket))

    async def check(self) -> DispatcherHealth:
        try:
            version = await self._commands.version(_CHECK_PATIENCE)
        except DispatcherUnavailable as error:
            return DispatcherHealth(is_ready=False, name=NAME, problem=str(error))
        return DispatcherHealth(is_ready=True, name=NAME, version=version)


def _told_again(errand: Errand, aftermath: Aftermath) -> list[RunEvent]:
    """What can be told of a message that the session holds already."""
    ended = judge(aftermath, bus_error=None, is_cancelled=False)
    text, usage = aftermath.text, aftermath.usage
    told: list[RunEvent] = [
        RunStarted(
            session_id=errand.session,
            message_id=errand.run,
            agent=errand.agent,
            model=errand.model,
        )
    ]
    if text:
        told.append(TextAppended(text=text, part=errand.run))
    told.append(UsageReported(usage=usage))
    told.append(
        RunEnded(
            verdict=ended.verdict,
            text=text,
            reason=ended.reason,
            session_id=errand.session,
            usage=usage,
            retry_after=ended.retry_after,
        )
    )
    return told
