"""The dispatcher: the port's methods over the parts of this package."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from attrs import field, frozen

from galaxy_adapters._opencode import Choice, choose
from galaxy_adapters._opencode.parts import age
from galaxy_adapters._opencode.steady import is_ahead_by
from galaxy_adapters.dispatch_opencode_server.aftermath import read_aftermath
from galaxy_adapters.dispatch_opencode_server.catalogue import Catalogue
from galaxy_adapters.dispatch_opencode_server.client import CallNotFound, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.events import EventHub, Sighting
from galaxy_adapters.dispatch_opencode_server.ids import MessageIds
from galaxy_adapters.dispatch_opencode_server.reuse import Kept, kept
from galaxy_adapters.dispatch_opencode_server.run import SETTLED, Run
from galaxy_adapters.dispatch_opencode_server.servers import KNOWN_MAJOR, Servers
from galaxy_adapters.dispatch_opencode_server.settling import Settling, SettlingTimes
from galaxy_adapters.dispatch_opencode_server.stopping import family_of, stop_session
from galaxy_adapters.dispatch_opencode_server.tickets import Errand, errand_of
from galaxy_core.domain.delivery import Finding, Ticket, TicketKind
from galaxy_core.domain.errors import DispatcherUnavailable, DispatchRejected, RequestNotFound
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Answer,
    DispatcherHealth,
    PermissionReply,
    QuestionReply,
    RunEnded,
    RunEvent,
    RunRequest,
)
from galaxy_core.domain.session import Session
from galaxy_core.ports.clock import Clock

NAME = "opencode"

_CHECK_PATIENCE = timedelta(seconds=5)
_LOOK_AGAIN_SECONDS = 0.4
_SESSION_PREFIX = "ses_"


@frozen(kw_only=True)
class OpencodeDefaults:
    """What the settings choose where neither order nor conversation does, and patience."""

    agent: str | None = None
    model: str | None = None
    patience: timedelta = timedelta(seconds=60)
    """How long a server may be out of reach before a run is given up (it is asked again later)."""
    settling: SettlingTimes = field(factory=SettlingTimes)


class OpencodeServerDispatcher:
    """`Dispatcher` on `opencode serve`; to be used as an async context manager.

    Leaving the context ends the connection, never a turn; whether it ends a server of our own
    is a setting of `OwnServer`.
    """

    def __init__(
        self, servers: Servers, *, clock: Clock, defaults: OpencodeDefaults | None = None
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._defaults = defaults or OpencodeDefaults()
        self._catalogue = Catalogue()
        self._ids = MessageIds()
        self._hub = EventHub(servers)
        self._fresh: set[str] = set()
        """Messages that were given an id here and not sent yet."""
        self._cancelled: set[str] = set()
        self._followed: dict[str, str] = {}
        """The message whose run is followed here, for each session that has one."""
        self._tasks: anyio.abc.TaskGroup | None = None
        self._is_listening = False
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._exits.__aenter__()
        self._exits.push_async_callback(self._servers.aclose)
        self._tasks = await self._exits.enter_async_context(anyio.create_task_group())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        return await self._exits.__aexit__(kind, error, trace)

    def end_server_with_us(self) -> None:
        """A server of our own is not left behind: to be called when nothing runs in it."""
        self._servers.end_with_us()

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
            # opencode itself takes any name and works in a folder that is not there.
            raise DispatchRejected(f"The project folder {request.directory} does not exist.")
        client = await self._client()
        directory = str(request.directory)
        choice = await self._choice(client, request, session)
        known = session.session_id if session and session.dispatcher in (None, NAME) else None
        usable = await self._kept(client, known, directory)
        title = request.title or f"Order {request.order_id}"
        errand = Errand(
            session=usable.session if usable else await client.create_session(directory, title),
            message=self._ids.next(self._clock.now(), after=usable.newest if usable else None),
            directory=directory,
            agent=choice.agent,
            model=choice.model,
            # "Go on" is said to the agent; the command itself is not begun again.
            command=choice.command if kind is TicketKind.PROMPT else None,
        )
        self._fresh.add(errand.message)
        return Ticket(
            dispatcher=NAME,
            session_id=errand.session,
            message_id=errand.message,
            attempt=attempt,
            kind=kind,
            created_at=self._clock.now(),
            is_session_replaced=usable is None and bool(session and session.session_id),
            data=errand.data,
        )

    async def _choice(
        self, client: OpencodeClient, request: RunRequest, session: Session | None
    ) -> Choice:
        directory = str(request.directory)
        try:
            return await self._choose(client, request, session)
        except DispatchRejected:
            # What is asked for may have been added since the list was read.
            self._catalogue.forget(directory)
        return await self._choose(client, request, session)

    async def _choose(
        self, client: OpencodeClient, request: RunRequest, session: Session | None
    ) -> Choice:
        project = await self._catalogue.project(client, str(request.directory))
        return choose(
            project.offer,
            request,
            session,
            default_agent=self._defaults.agent,
            default_model=self._defaults.model,
        )

    async def _kept(
        self, client: OpencodeClient, session: str | None, directory: str
    ) -> Kept | None:
        """Look whether a session can take the next message; None when another has to."""
        if session is None or not session.startswith(_SESSION_PREFIX):
            return None
        seen = self._hub.sighting(session)
        if seen and seen.directory == directory and seen.at <= self._clock.now():
            return Kept(session=session)
        return await kept(client, self._clock, session, directory)

    # ---- asking

    async def find(self, ticket: Ticket) -> Finding:
        client = await self._client()
        errand = errand_of(ticket)
        if ticket.dispatcher != NAME or not errand.session.startswith(_SESSION_PREFIX):
            return Finding.UNKNOWN
        deadline = anyio.current_time() + SETTLED.total_seconds()
        while True:
            try:
                message = await client.message(errand.session, errand.message)
                finding = await self._progress(client, errand)
            except CallNotFound:
                return Finding.UNKNOWN
            is_young = age(message, self._clock.now()) < SETTLED
            # The message's time is the server's, whose clock may be another, or may have been set.
            is_patient = is_young and anyio.current_time() < deadline
            if finding is not Finding.BROKEN_OFF or not is_patient:
                return finding
            # A message that was just accepted is there before anybody works on it.
            await anyio.sleep(_LOOK_AGAIN_SECONDS)

    async def _progress(self, client: OpencodeClient, errand: Errand) -> Finding:
        """What became of a message that is there."""
        project = await self._catalogue.project(client, errand.directory)
        family = {errand.session, *await family_of(client, errand.session)}
        is_busy = bool(family & (await client.status(errand.directory)).keys())
        aftermath = await read_aftermath(
            client,
            errand,
            expected=10,
            now=self._clock.now(),
            continues_by_itself=project.continues_by_itself,
        )
        if is_busy and not aftermath.is_overtaken:
            return Finding.RUNNING
        return Finding.FINISHED if aftermath.is_finished else Finding.BROKEN_OFF

    # ---- running

    async def run(self, request: RunRequest, ticket: Ticket) -> AsyncGenerator[RunEvent, None]:
        client = await self._client()
        errand = errand_of(ticket)
        project = await self._catalogue.project(client, errand.directory)
        is_fresh = ticket.message_id in self._fresh
        # Whatever comes of it, from now on it may have been sent.
        self._fresh.discard(ticket.message_id)
        run = Run(
            servers=self._servers,
            hub=self._hub,
            tasks=self._task_group,
            request=request,
            errand=errand,
            is_fresh=is_fresh,
            settling=Settling(
                directory=request.directory,
                session=errand.session,
                times=self._defaults.settling,
            )
            if project.continues_by_itself
            else None,
            patience=self._defaults.patience,
            now=self._clock.now,
            is_cancelled=lambda: ticket.message_id in self._cancelled,
        )
        self._followed[errand.session] = errand.message
        # What was seen before knows nothing of this message, whose time may be ahead by the next.
        self._hub.forget(errand.session)
        try:
            async with aclosing(run.events()) as events:
                async for event in events:
                    if isinstance(event, RunEnded):
                        self._remember(errand, run.newest)
                    yield event
        finally:
            self._cancelled.discard(ticket.message_id)
            if self._followed.get(errand.session) == errand.message:
                del self._followed[errand.session]

    def _remember(self, errand: Errand, newest: str) -> None:
        """Take note that the session is there, unless its newest message is from the future.

        The clock may have been set back since that message was made: by this run, or by an earlier
        one that is only read here.
        """
        now = self._clock.now()
        if is_ahead_by(newest, now) <= timedelta(0):
            self._hub.remember(errand.session, Sighting(directory=errand.directory, at=now))

    async def answer(self, ticket: Ticket, request_id: RequestId, answer: Answer) -> None:
        client = await self._client()
        directory = errand_of(ticket).directory
        try:
            if isinstance(answer, PermissionReply):
                await client.reply_permission(
                    directory, request_id, answer.choice.value, answer.message
                )
            elif isinstance(answer, QuestionReply):
                await client.reply_question(directory, request_id, answer.answers)
            else:
                await client.reject_question(directory, request_id)
        except (CallNotFound, DispatchRejected) as error:
            raise RequestNotFound(
                f"Nobody waits for an answer to {request_id}: it was answered, or the run is over."
            ) from error

    async def cancel(self, ticket: Ticket) -> None:
        errand = errand_of(ticket)
        followed = self._followed.get(errand.session)
        if followed is not None and followed != errand.message:
            # Its order is over, and the session belongs to the next one: to stop the session would
            # be to stop that.
            return
        if followed is not None:
            self._cancelled.add(errand.message)
        client = await self._client()
        await stop_session(client, errand.directory, errand.session)
        # The run may have missed the end, or there was nothing to be ended yet.
        self._hub.resync(errand.session)

    async def check(self) -> DispatcherHealth:
        try:
            with anyio.fail_after(_CHECK_PATIENCE.total_seconds()):
                version = await (await self._client()).version()
        except (DispatcherUnavailable, TimeoutError) as error:
            problem = str(error) or "opencode is still starting, or does not answer."
            return DispatcherHealth(is_ready=False, name=NAME, problem=problem)
        is_known = version.startswith(KNOWN_MAJOR)
        return DispatcherHealth(
            is_ready=True,
            name=NAME,
            version=version,
            problem=None
            if is_known
            else f"opencode {version} is not one that Galaxy knows ({KNOWN_MAJOR}x); watch it.",
        )

    async def look(self) -> DispatcherHealth | None:
        # A cold start takes its time on a busy machine, and has a patience of its own.
        if not self._is_listening or self._hub.is_coming_up:
            return None
        return await self.check()

    async def revive(self) -> None:
        # Whatever comes of it, the reader of events sees to it that there is a server.
        await self._servers.suspect()

    # ---- the connection

    @property
    def _task_group(self) -> anyio.abc.TaskGroup:
        if self._tasks is None:
            raise RuntimeError("OpencodeServerDispatcher must be entered (`async with`) first.")
        return self._tasks

    async def _client(self) -> OpencodeClient:
        """Give a client of a server that is up, and see that its events are listened to."""
        if not self._is_listening:
            # A server is needed only now; from now on the reader sees to it that there is one.
            self._is_listening = True
            self._task_group.start_soon(self._hub.run, name="opencode events")
        await self._hub.connected()
        return self._servers.client()
