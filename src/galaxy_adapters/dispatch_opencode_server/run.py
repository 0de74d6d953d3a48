"""One run: send the message (or find it sent), follow the events, tell how it ended.

If we die at any place in here, the turn goes on in the server, and the next run with the same
ticket finds the message there.  Nothing is kept here that cannot be read again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import anyio
import anyio.abc
import anyio.to_thread
from attrs import define, evolve, field

from galaxy_adapters._opencode import parts
from galaxy_adapters._opencode.verdict import Aftermath, judge
from galaxy_adapters.dispatch_opencode_server.aftermath import read_aftermath
from galaxy_adapters.dispatch_opencode_server.attachments import file_parts
from galaxy_adapters.dispatch_opencode_server.client import CallNotFound, Json, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.events import (
    EventHub,
    Failed,
    Listener,
    Notice,
    Resync,
)
from galaxy_adapters.dispatch_opencode_server.servers import Servers
from galaxy_adapters.dispatch_opencode_server.settling import Settling
from galaxy_adapters.dispatch_opencode_server.stopping import family_of, stop_session
from galaxy_adapters.dispatch_opencode_server.tickets import Errand
from galaxy_adapters.dispatch_opencode_server.turn import Turn
from galaxy_adapters.dispatch_opencode_server.watch import Watch
from galaxy_core.domain.errors import DispatcherUnavailable, GalaxyError
from galaxy_core.domain.run import (
    Noticed,
    RunEnded,
    RunEvent,
    RunRequest,
    RunStarted,
    Verdict,
)

_T = TypeVar("_T")

_RETRY_SECONDS = 0.3
SETTLED = timedelta(seconds=3)
"""Age from which a message that nobody works on counts as broken off: one that was just accepted
is not yet shown as busy."""
_SET_BACK = (
    "The clock of the agent's machine was set back in the middle of the work. The agent was "
    "stopped, as it would have lost its way."
)


@define(kw_only=True)
class Run:
    """One message on its way through the agent."""

    servers: Servers
    hub: EventHub
    tasks: anyio.abc.TaskGroup
    """Where the call of a command waits, which answers only when its turn is over."""
    request: RunRequest
    errand: Errand
    is_fresh: bool
    """Whether the message was certainly not sent yet: saves the question."""
    settling: Settling | None
    """How to tell the end, where a plugin continues by itself."""
    patience: timedelta
    """How long the server may be out of reach before the run is given up."""
    is_cancelled: Callable[[], bool]
    now: Callable[[], datetime]
    _turn: Turn = field(init=False)
    _watch: Watch = field(init=False)
    _young_until: float = field(init=False, default=0.0)
    """Until when the message may be there with nobody at work on it yet."""
    _is_on_its_way: bool = field(init=False, default=False)
    """Whether a command was sent whose call has not returned: its own shell lines run before its
    message is there."""
    _is_doubtful: bool = field(init=False, default=False)
    _is_over: bool = field(init=False, default=False)
    _stopped_because: str | None = field(init=False, default=None)
    _failure: GalaxyError | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._turn = Turn(session=self.errand.session, message_id=self.errand.message)
        self._watch = Watch(limits=self.request.limits)

    @property
    def newest(self) -> str:
        """Id of the newest message that it knows of."""
        return self._turn.newest

    async def events(self) -> AsyncGenerator[RunEvent, None]:
        """Carry it out; the last event is `RunEnded`."""
        session = self.errand.session
        await self.hub.connected()
        listener = self.hub.listen(session)
        try:
            await self._send(listener)
            yield RunStarted(
                session_id=session,
                message_id=self.errand.message,
                agent=self.errand.agent,
                model=self.errand.model,
            )
            while not self._is_over:
                for event in await self._take(await listener.next(self._wait_seconds()), listener):
                    yield event
            for request in list(self._turn.waiting):
                for event in self._turn.resolve(request, "withdrawn"):
                    yield event
            yield await self._ending()
        finally:
            self.hub.stop(session, listener)

    # ---- sending

    async def _send(self, listener: Listener) -> None:
        client = self.servers.client()
        if not self.is_fresh and (age := await self._age(client)) is not None:
            # The age is by the server's clock, which may differ from ours, or may have been set.
            young = min(max(SETTLED - age, timedelta(0)), SETTLED)
            self._young_until = anyio.current_time() + young.total_seconds()
            listener.put(Resync())  # what has happened so far is read
            return
        files: list[Json] = []
        if self.request.attachments:
            files = await anyio.to_thread.run_sync(self._file_parts, client)
        body: Json = {"messageID": self.errand.message, "agent": self.errand.agent}
        if self.errand.command is not None:
            # The call returns when the turn is over, so it waits beside us; if we die meanwhile,
            # the turn goes on.
            body |= {"command": self.errand.command, "arguments": self.request.prompt}
            body |= {"parts": [part for part in files if part["type"] == "file"]}
            body |= {"model": self.errand.model} if self.errand.model else {}
            self._is_on_its_way = True
            self.tasks.start_soon(
                self._call_command, client, body, listener, name=f"command {self.errand.message}"
            )
            return
        body["parts"] = [{"type": "text", "text": self.request.prompt}, *files]
        if self.errand.model:
            provider, _, model = self.errand.model.partition("/")
            body["model"] = {"providerID": provider, "modelID": model}
        if self.request.system:
            body["system"] = self.request.system
        try:
            await client.prompt(self.errand.session, body)
        except CallNotFound as error:
            self.hub.forget(self.errand.session)
            raise DispatcherUnavailable(f"Nothing was sent: {error}") from error
        self._young_until = anyio.current_time() + SETTLED.total_seconds()

    async def _call_command(self, client: OpencodeClient, body: Json, listener: Listener) -> None:
        try:
            await client.command(self.errand.session, body)
        except DispatcherUnavailable:
            # The server may have died, or only this connection: the session knows.
            listener.put(Resync())
        except GalaxyError as error:
            listener.put(Failed(error=error))
        finally:
            self._is_on_its_way = False

    def _file_parts(self, client: OpencodeClient) -> list[Json]:
        return file_parts(
            self.request.attachments, self.request.directory, is_inline=not client.is_local
        )

    async def _age(self, client: OpencodeClient) -> timedelta | None:
        """How long the agent has had the message; None when it has not."""
        try:
            message = await client.message(self.errand.session, self.errand.message)
        except CallNotFound:
            return None
        return parts.age(message, self.now())

    # ---- following

    def _wait_seconds(self) -> float:
        if self.settling is not None and self._turn.is_idle:
            return min(self._watch.patience_seconds, self.settling.tick_seconds)
        return self._watch.patience_seconds

    async def _take(self, notice: Notice | None, listener: Listener) -> list[RunEvent]:
        told: list[RunEvent] = []
        if isinstance(notice, Resync):
            self._turn.tear()
            told = await self._patiently(self._reconcile)
            if self._is_doubtful:
                await anyio.sleep(_RETRY_SECONDS)
                listener.put(Resync())
        elif isinstance(notice, Failed):
            self._failure, self._is_over = notice.error, True
        elif notice is not None:
            told = self._turn.feed(notice)
            self._watch.sign_of_life()
            if self.settling is not None and told:
                self.settling.disturb()
            # An error before any work (a name that the server does not know) is not followed by
            # an end.
            if self._turn.error is not None and not self._turn.has_been_busy:
                self._is_over = True
        elif self.hub.down_for > self.patience:
            raise DispatcherUnavailable("opencode cannot be reached any more; the run may go on.")
        self._watch.set_waiting(is_waiting=bool(self._turn.waiting))
        if self._turn.is_astray and not self._is_over:
            # The agent would be asked again and again, and its tools would run again.
            self._is_over = True
            await self._patiently(self._stop)
            return [*told, Noticed(message=_SET_BACK)]
        await self._look(listener)
        return told

    async def _look(self, listener: Listener) -> None:
        """Decide whether it is over, or has to be."""
        if self._turn.is_idle and listener.is_empty():
            if self.settling is None or self.is_cancelled():
                self._is_over = True
            elif self.settling.is_settled(self._turn.todos):
                self._is_over = await self._patiently(self._is_family_idle)
        why = None if self._is_over else self._watch.why_to_stop(self._turn)
        if why is not None:
            self._stopped_because, self._is_over = why, True
            await self._patiently(self._stop)

    async def _stop(self, client: OpencodeClient) -> None:
        await stop_session(client, self.errand.directory, self.errand.session)

    async def _is_family_idle(self, client: OpencodeClient) -> bool:
        busy = set(await client.status(self.errand.directory))
        is_idle = not busy & self.hub.family(self.errand.session)
        if not is_idle and self.settling is not None:
            self.settling.disturb()
        return is_idle

    async def _reconcile(self, client: OpencodeClient) -> list[RunEvent]:
        """Read everything that events would have told."""
        session, directory = self.errand.session, self.errand.directory
        for child, parent in (await family_of(client, session)).items():
            self.hub.adopt(child, parent)
        family = self.hub.family(session)
        # Status before messages: what ends in between is then seen as busy, and its end will come
        # as an event; the other way round an end could be missed.
        status = await client.status(directory)
        aftermath = await self._read(client)
        told = self._turn.read(session, list(aftermath.messages))
        told += self._turn.set_todos(await client.todos(session))
        is_busy = bool(family & status.keys()) and not aftermath.is_overtaken
        waiting = [each for each in await client.permissions(directory) if _is_of(family, each)]
        asking = [each for each in await client.questions(directory) if _is_of(family, each)]
        # What an idle session seems to wait for is left over from a turn that was aborted.
        told += self._turn.set_requests(*((waiting, asking) if is_busy else ([], [])))
        # A sub-agent that still works does not count: nobody would tell of its end, as of ours.
        if session in status and not aftermath.is_overtaken:
            self._turn.has_been_busy, self._turn.is_idle = True, False
        elif not self._may_still_begin(aftermath):
            self._turn.has_been_busy, self._turn.is_idle = True, True
        self._is_doubtful = not self._turn.has_been_busy
        return told

    async def _read(self, client: OpencodeClient) -> Aftermath:
        expected = self._turn.answers + 2
        return await read_aftermath(
            client,
            self.errand,
            expected=expected,
            now=self.now(),
            continues_by_itself=self.settling is not None,
            strays=self._turn.strays,
        )

    def _may_still_begin(self, aftermath: Aftermath) -> bool:
        return not (
            self._turn.has_been_busy
            or aftermath.answers
            or self.is_cancelled()
            or (anyio.current_time() >= self._young_until and not self._is_on_its_way)
        )

    # ---- ending

    async def _ending(self) -> RunEnded:
        if self._failure is not None and await self._patiently(self._age) is None:
            raise self._failure
        aftermath = self._turn.success()
        if aftermath is None:
            aftermath = await self._patiently(self._read)
        ended = judge(aftermath, bus_error=self._turn.error, is_cancelled=self.is_cancelled())
        if self._turn.is_astray and ended.verdict is Verdict.BROKEN_OFF:
            ended = evolve(ended, reason=_SET_BACK)
        if self._stopped_because is not None and not self.is_cancelled():
            ended = RunEnded(verdict=Verdict.FAILED, reason=self._stopped_because)
        seen, read = self._turn.usage, aftermath.usage
        return evolve(
            ended,
            text=aftermath.text,
            session_id=self.errand.session,
            # The stream also counts sub-agents, unless it was broken.
            usage=seen if seen.total_tokens >= read.total_tokens else read,
        )

    async def _patiently(self, call: Callable[[OpencodeClient], Awaitable[_T]]) -> _T:
        """Do something that may be done twice, as soon as there is a server to do it."""
        deadline = anyio.current_time() + self.patience.total_seconds()
        while True:
            try:
                return await call(self.servers.client())
            except DispatcherUnavailable:
                if anyio.current_time() >= deadline:
                    raise
                await anyio.sleep(_RETRY_SECONDS)


def _is_of(family: frozenset[str], item: Json) -> bool:
    return item.get("sessionID") in family
