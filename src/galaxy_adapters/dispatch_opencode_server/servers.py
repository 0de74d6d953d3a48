"""The server that is used: one given by its address, or one of our own.

Our own is started when it is first needed, found again after Hermes died, and replaced when it
is dead or does not answer any more.  Nothing watches it by itself: the event stream breaks with
the server, and its reader asks for a server again.  That reader is the only one who starts
servers, so that no impatient caller can break a start off.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import anyio
import anyio.to_thread
import structlog
from attrs import evolve, field, frozen

from galaxy_adapters._opencode import find_opencode
from galaxy_adapters._processes import descendants, end, end_marked
from galaxy_adapters.dispatch_opencode_server.client import Endpoint, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.launch import (
    MARKER,
    Launch,
    is_running,
    listening_url,
    scope_command,
    spawn,
)
from galaxy_adapters.dispatch_opencode_server.statefile import (
    ServerState,
    StateFolder,
    state_root,
)
from galaxy_core.domain.errors import DispatcherUnavailable, StorageUnavailable

_log = structlog.get_logger(__name__)

KNOWN_MAJOR = "1."
"""Versions whose behaviour was measured (1.18.33); others get a warning."""

_STOP_PATIENCE = timedelta(seconds=2)
"""How long to wait for another process that starts or stops the server when we end."""
_LARGEST_LOG = 4 * 1024 * 1024


class Servers(Protocol):
    """Where a client comes from."""

    def client(self) -> OpencodeClient:
        """Give a client of the server that was up a moment ago; costs nothing.

        Raises `DispatcherUnavailable` while there is none.
        """

    async def connect(self) -> OpencodeClient:
        """Give a client of a server that is up; starts one if need be, which takes seconds.

        For one task only.  Raises `DispatcherUnavailable`.
        """

    async def suspect(self) -> None:
        """Take note that the server does not answer: make sure, and end it if it is stuck."""

    def end_with_us(self) -> None:
        """Do not leave a server of our own behind when this is closed."""

    async def aclose(self) -> None:
        """Give up the connection; what happens to the server is the class's affair."""


class GivenServer:
    """A server that somebody else runs."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._client = OpencodeClient(endpoint)

    def client(self) -> OpencodeClient:
        return self._client

    async def connect(self) -> OpencodeClient:
        warn_of_version(await self._client.version())
        return self._client

    async def suspect(self) -> None:
        """Leave it to whoever runs it."""

    def end_with_us(self) -> None:
        """Leave it to whoever runs it."""

    async def aclose(self) -> None:
        await self._client.aclose()


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
    hang_patience: timedelta = timedelta(seconds=30)
    """How long it may leave health calls unanswered before it is replaced."""


class OwnServer:
    """A server that we start, adopt, replace and stop."""

    def __init__(self, settings: OwnServerSettings) -> None:
        self._settings = settings
        self._outlives_us = settings.outlives_us
        self._folder = StateFolder(state_root(settings.environment), settings.machine)
        self._state: ServerState | None = None
        self._client: OpencodeClient | None = None
        self._use: int | None = None
        self._failures = 0
        self._not_before = 0.0

    @property
    def state_file(self) -> Path:
        """Where it is written down; it holds the password."""
        return self._folder.state_file

    @property
    def pid(self) -> int | None:
        """Its process number, while it is known."""
        return self._state.pid if self._state else None

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._client is not None and self._is_alive(self._state)

    def client(self) -> OpencodeClient:
        if self._client is None or not self.is_running:
            raise DispatcherUnavailable("opencode is not running; it is being started.")
        self._trim_log()
        return self._client

    async def suspect(self) -> None:
        if self._client is None or self._state is None or not self._is_alive(self._state):
            return
        if await self._answers(self._client, self._settings.hang_patience):
            return
        try:
            starting = self._folder.lock_start()
        except StorageUnavailable as error:
            _log.warning("opencode.hung", pid=self._state.pid, error=str(error))
            return
        if starting is None:
            return  # another process has found out, too, and is seeing to it
        try:
            _log.warning("opencode.hung", pid=self._state.pid)
            await self._end(self._state, listens=False)
        finally:
            os.close(starting)

    async def look(self) -> str | None:
        """Ask the server that is written down for its version; None when none is, or not yet.

        Starts and ends nothing.  Raises `DispatcherUnavailable` when it is dead or silent.
        """
        state = self._folder.read()
        if state is None or not state.url:
            return None
        if not self._is_alive(state):
            raise DispatcherUnavailable("Its process is gone.")
        client = self._client_of(state)
        try:
            return await client.version()
        finally:
            await client.aclose()

    async def aclose(self) -> None:
        """Stop the server if it was to end with us and nobody else uses it; else leave it."""
        with anyio.CancelScope(shield=True):
            await self._release()

    # ---- finding one

    async def connect(self) -> OpencodeClient:
        if self._client is not None and self._is_alive(self._state):
            return self._client
        await anyio.sleep(max(0.0, self._not_before - anyio.current_time()))
        try:
            state = await self._found_or_started()
        except DispatcherUnavailable:
            self._back_off()
            raise
        except OSError as error:  # `StorageUnavailable`, or no more descriptors, processes ...
            self._back_off()
            raise DispatcherUnavailable(f"opencode cannot be started: {error}") from error
        if self._client is not None:
            await self._client.aclose()
        self._client = self._client_of(state)
        self._state = state
        self._failures = 0
        warn_of_version(state.version or "unknown")
        return self._client

    async def _found_or_started(self) -> ServerState:
        await anyio.to_thread.run_sync(self._folder.make)
        starting = await self._start_right(self._settings.start_patience)
        try:
            state = await self._found() or await self._started()
            if self._use is None:
                # Before anybody who ends can look whether the server is used.
                self._use = self._folder.lock_use()
            return state
        finally:
            os.close(starting)

    def _back_off(self) -> None:
        """Let the next start wait: 1, 2, 4 ... seconds after failures in a row."""
        wait = min(2.0**self._failures, self._settings.longest_backoff.total_seconds())
        self._failures += 1
        self._not_before = anyio.current_time() + wait

    async def _start_right(self, patience: timedelta) -> int:
        """Wait until no other process starts or stops this server."""
        with anyio.move_on_after(patience.total_seconds()):
            while True:
                descriptor = self._folder.lock_start()
                if descriptor is not None:
                    return descriptor
                await anyio.sleep(0.1)
        raise DispatcherUnavailable(
            "Another Hermes is starting opencode, and does not come to an end."
        )

    async def _found(self) -> ServerState | None:
        """Adopt the server that is written down, if it lives and answers to its password."""
        state = self._folder.read()
        if state is None:
            return None
        if state.url and self._is_alive(state):
            client = self._client_of(state)
            try:
                if await self._answers(client, self._settings.hang_patience):
                    _log.info("opencode.adopted", pid=state.pid, url=state.url)
                    return state
            finally:
                await client.aclose()
        # Dead, stuck, or never got as far as an address: what it started must not go on.
        await self._end(state, listens=False)
        return None

    async def _started(self) -> ServerState:
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

    async def _launched(self, launch: Launch, scope: tuple[str, ...]) -> ServerState:
        """Start it, first with the password hidden, then, if it did not take it, openly."""
        state = ServerState(
            server_id=launch.server_id, password=launch.password, binary=str(launch.binary)
        )
        self._folder.write(state)
        process = spawn(launch, scope=scope)
        state = evolve(state, pid=process.pid, birth=process.birth)
        try:
            url = await listening_url(launch, process, self._settings.start_patience)
            state = evolve(state, url=url)
            if launch.is_password_hidden and await self._is_open_to_all(url):
                await self._end(state)
                _log.warning(
                    "opencode.password_visible",
                    consequence="this opencode takes it from its environment only, "
                    "where the agent's shell sees it",
                )
                return await self._launched(evolve(launch, is_password_hidden=False), scope)
            client = self._client_of(state)
            try:
                state = evolve(state, version=await client.version())
            finally:
                await client.aclose()
        except BaseException:  # cancelled, too: nobody would know of it
            with anyio.CancelScope(shield=True):
                await self._end(state)
            raise
        self._folder.write(state)
        _log.info("opencode.started", pid=state.pid, url=url, version=state.version)
        return state

    @staticmethod
    async def _is_open_to_all(url: str) -> bool:
        client = OpencodeClient(Endpoint(url))
        try:
            await client.version()
            return True
        except DispatcherUnavailable:
            return False
        finally:
            await client.aclose()

    # ---- looking after it

    @staticmethod
    def _client_of(state: ServerState) -> OpencodeClient:
        return OpencodeClient(Endpoint(state.url or "", state.password))

    @staticmethod
    def _is_alive(state: ServerState | None) -> bool:
        process = state.process if state else None
        return process is not None and is_running(process)

    @staticmethod
    async def _answers(client: OpencodeClient, patience: timedelta) -> bool:
        with anyio.move_on_after(patience.total_seconds()):
            while True:
                try:
                    await client.version()
                    return True
                except DispatcherUnavailable:
                    await anyio.sleep(0.5)
        return False

    def _trim_log(self) -> None:
        # The server appends, so cutting the file off under it leaves no hole.
        try:
            if self._folder.log.stat().st_size > _LARGEST_LOG:
                os.truncate(self._folder.log, 0)
        except OSError:
            return

    # ---- ending it

    def end_with_us(self) -> None:
        """Stop the server when we end, whatever the settings said: nothing runs in it."""
        self._outlives_us = False

    async def _release(self) -> None:
        state, self._state = self._state, None
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
        if self._use is not None:
            os.close(self._use)
            self._use = None
        if self._outlives_us or state is None:
            return
        try:
            starting = await self._start_right(_STOP_PATIENCE)
        except (DispatcherUnavailable, StorageUnavailable) as error:
            # Somebody is about to use it, or it is known no more.
            _log.info("opencode.left_behind", pid=state.pid, error=str(error))
            return
        try:
            if not self._folder.is_used_by_others():
                await self._end(state)
        finally:
            os.close(starting)

    async def _end(self, state: ServerState, *, listens: bool = True) -> None:
        """End the server and everything that it ever started, dead or alive as it may be."""
        grace = self._settings.stop_grace
        if listens and state.url and self._is_alive(state):
            # Ends turns and tools in good order; a signal alone leaves messages open and tools
            # running.
            client = self._client_of(state)
            try:
                await client.dispose()
            except DispatcherUnavailable as error:
                _log.debug("opencode.dispose_failed", error=str(error))
            finally:
                await client.aclose()
        if (process := state.process) is not None and is_running(process):
            await end(descendants(process.pid), grace=timedelta(0))
        left = await end_marked(MARKER, state.server_id, grace=grace)
        if (process := state.process) is not None:
            is_running(process)  # reaps it
        if left:
            _log.warning("opencode.processes_left", pids=[each.pid for each in left])
        self._folder.forget(state)


def warn_of_version(version: str) -> None:
    """Say so when a version's behaviour is not known."""
    if not version.startswith(KNOWN_MAJOR):
        _log.warning("opencode.version_unknown", version=version, known=f"{KNOWN_MAJOR}x")
