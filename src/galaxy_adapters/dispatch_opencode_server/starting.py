"""Starting a server of our own, waiting for one that somebody else began to start, ending one.

All of it under the right to start.  What is written down before what, so that whoever dies in the
middle leaves a server that the next one takes over, and never two:

    id and password -> spawn -> its process -> it listens -> its address

Without a process in the state it is found by the marker that it and all that it starts carry.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import structlog
from attrs import define, evolve, field, frozen

from galaxy_adapters._opencode import find_opencode
from galaxy_adapters._processes import (
    ProcessIdentity,
    descendants,
    end,
    end_marked,
    family,
    root_marked,
)
from galaxy_adapters.dispatch_opencode_server.client import (
    Endpoint,
    OpencodeClient,
    PasswordRefused,
)
from galaxy_adapters.dispatch_opencode_server.launch import (
    MARKER,
    Launch,
    is_running,
    listening_url,
    scope_command,
    spawn,
)
from galaxy_adapters.dispatch_opencode_server.statefile import ServerState, StateFolder
from galaxy_core.domain.errors import DispatcherUnavailable

_log = structlog.get_logger(__name__)

_FIRST_ANSWER_SECONDS = 10.0
"""A machine that starts much at once may be slow; no answer does not say who may come in."""


@frozen(kw_only=True)
class OwnServerSettings:
    """How our own server is run."""

    machine: Path
    """The machine's folder: one server for each."""
    environment: Mapping[str, str] = field(repr=False)
    binary: str | Path | None = None
    outlives_us: bool = True
    """Whether it goes on when we end: yes for a service, no for a command that runs once."""
    has_unit: bool = False
    """Whether our own systemd unit is there for the server alone, so that it needs no scope."""
    start_patience: timedelta = timedelta(seconds=60)
    stop_grace: timedelta = timedelta(seconds=5)
    longest_backoff: timedelta = timedelta(seconds=30)
    stillness_patience: timedelta = timedelta(seconds=4)
    """How long it may leave health calls unanswered and do nothing at all before it is replaced."""
    hang_patience: timedelta = timedelta(seconds=45)
    """The same for one that does something: a busy one was silent for 32 s, and answered."""


@define
class Starter:
    """Starts and ends the server of one machine."""

    _settings: OwnServerSettings
    _folder: StateFolder

    async def known(self) -> ServerState | None:
        """Read which server is written down, and find its process; None when none is."""
        state = self._folder.read()
        if state is None or state.process is not None:
            return state
        # Its starter died between the start and the note of it.
        process = await anyio.to_thread.run_sync(root_marked, MARKER, state.server_id)
        return evolve(state, pid=process.pid, birth=process.birth) if process else state

    async def started(self) -> ServerState:
        """Start a new one and wait until it answers.  Raises `DispatcherUnavailable`."""
        environment = self._settings.environment
        launch = Launch(
            binary=await anyio.to_thread.run_sync(
                find_opencode, self._settings.binary, environment
            ),
            directory=self._settings.machine,
            environment=environment,
            log=self._folder.log,
            server_id=secrets.token_hex(12),
            password=secrets.token_urlsafe(32),
        )
        scope = () if self._settings.has_unit else scope_command(environment)
        try:
            return await self._launched(launch, scope)
        except DispatcherUnavailable:
            if not scope:
                raise
        _log.warning("opencode.scope_refused", consequence="the server ends with Hermes' unit")
        return await self._launched(launch, ())

    async def awaited(self, state: ServerState) -> ServerState:
        """Wait for one that another process began to start.

        It is the one: its process is known by birth or marker, and what it says where it listens
        is in a log that nobody else has written since.  Raises `DispatcherUnavailable`.
        """
        process = state.process
        if process is None:
            raise DispatcherUnavailable("Nobody knows the process of the opencode that was begun.")
        left = self._settings.start_patience - timedelta(seconds=process.age_seconds)
        async with self._ended_unless_it_works(state):
            state = await self._listening(state, process, left)
            if await self._is_open_to_all(str(state.url)):
                raise DispatcherUnavailable("The opencode that was begun asks for no password.")
            state = await self._noted(state)
        _log.info("opencode.adopted_at_its_start", pid=state.pid, url=state.url)
        return state

    async def _launched(self, launch: Launch, scope: tuple[str, ...]) -> ServerState:
        """Start it, first with the password hidden, then, if it did not take it, openly."""
        state = ServerState(
            server_id=launch.server_id, password=launch.password, binary=str(launch.binary)
        )
        self._folder.write(state)
        process = spawn(launch, scope=scope)
        state = evolve(state, pid=process.pid, birth=process.birth)
        async with self._ended_unless_it_works(state):
            self._folder.write(state)
            state = await self._listening(state, process, self._settings.start_patience)
            if launch.is_password_hidden and await self._is_open_to_all(str(state.url)):
                await self.end(state)
                _log.warning(
                    "opencode.password_visible",
                    consequence="this opencode takes it from its environment only, "
                    "where the agent's shell sees it",
                )
                return await self._launched(evolve(launch, is_password_hidden=False), scope)
            state = await self._noted(state)
        _log.info("opencode.started", pid=state.pid, url=state.url, version=state.version)
        return state

    @asynccontextmanager
    async def _ended_unless_it_works(self, state: ServerState) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:  # cancelled, too: nobody waits for it
            with anyio.CancelScope(shield=True):
                await self.end(state)
            raise

    async def _listening(
        self, state: ServerState, process: ProcessIdentity, patience: timedelta
    ) -> ServerState:
        return evolve(state, url=await listening_url(self._folder.log, process, patience))

    async def _noted(self, state: ServerState) -> ServerState:
        """Make sure that it answers to its password, and write it down as one to be used."""
        client = client_of(state)
        try:
            state = evolve(state, version=await client.version())
        finally:
            await client.aclose()
        self._folder.write(state)
        return state

    @staticmethod
    async def _is_open_to_all(url: str) -> bool:
        """Ask without a password.  Raises `DispatcherUnavailable` when nothing is answered."""
        client = OpencodeClient(Endpoint(url))
        try:
            await client.version(within_seconds=_FIRST_ANSWER_SECONDS)
            return True
        except PasswordRefused:
            return False
        finally:
            await client.aclose()

    async def end(self, state: ServerState, *, is_stuck: bool = False) -> None:
        """End the server and everything that it ever started, dead or alive as it may be.

        One that is stuck gets no time to end in good order: it takes none.
        """
        process = state.process
        if not is_stuck and state.url and process is not None and is_running(process):
            # Ends turns and tools in good order; a signal alone leaves messages open and tools
            # running.
            client = client_of(state)
            try:
                await client.dispose()
            except DispatcherUnavailable as error:
                _log.debug("opencode.dispose_failed", error=str(error))
            finally:
                await client.aclose()
        if process is not None and is_running(process):
            members = family(process.pid) if is_stuck else descendants(process.pid)
            await end(members, grace=timedelta(0))
        left = await end_marked(MARKER, state.server_id, grace=self._settings.stop_grace)
        if process is not None:
            is_running(process)  # reaps it
        if left:
            _log.warning("opencode.processes_left", pids=[each.pid for each in left])
        self._folder.forget(state)
        self._folder.forget_silence()


def client_of(state: ServerState) -> OpencodeClient:
    """Open a connection to it."""
    return OpencodeClient(Endpoint(state.url or "", state.password))
