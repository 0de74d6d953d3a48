"""The server that is used: one given by its address, or one of our own.

Our own is started when it is first needed, found again after Hermes died, and replaced when it
is dead or does not answer any more.  Nothing watches it by itself: the event stream breaks with
the server, and its reader asks for a server again.  That reader is the only one who starts
servers, so that no impatient caller can break a start off.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import structlog

from galaxy_adapters._processes import ProcessIdentity, listener, work_of
from galaxy_adapters.dispatch_opencode_server.client import Endpoint, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.launch import is_running
from galaxy_adapters.dispatch_opencode_server.silence import silence_after
from galaxy_adapters.dispatch_opencode_server.starting import (
    OwnServerSettings,
    Starter,
    client_of,
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

_ASK_SECONDS = 1.0
_ASK_AGAIN_SECONDS = 0.25
_FROZEN_SECONDS = 2.0
"""A call that takes so much longer than it may: it was we who did not run."""
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


class OwnServer:
    """A server that we start, adopt, replace and stop."""

    def __init__(self, settings: OwnServerSettings) -> None:
        self._settings = settings
        self._outlives_us = settings.outlives_us
        self._folder = StateFolder(state_root(settings.environment), settings.machine)
        self._starter = Starter(settings, self._folder)
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
        state = self._state
        if not await self._is_hung(state, self._client):
            return
        try:
            starting = self._folder.lock_start()
        except StorageUnavailable as error:
            _log.warning("opencode.hung", pid=state.pid, error=str(error))
            return
        if starting is None:
            return  # another process has found out, too, and is seeing to it
        try:
            _log.warning("opencode.hung", pid=state.pid)
            await self._starter.end(state, is_stuck=True)
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
        client = client_of(state)
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
        self._client = client_of(state)
        self._state = state
        self._failures = 0
        warn_of_version(state.version or "unknown")
        return self._client

    async def _found_or_started(self) -> ServerState:
        await anyio.to_thread.run_sync(self._folder.make)
        starting = await self._start_right(self._settings.start_patience)
        try:
            state = await self._found() or await self._starter.started()
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
        """Adopt the server that is written down, if it lives and answers to its password.

        One that has just been started by somebody who died is waited for.
        """
        state = await self._starter.known()
        if state is None:
            return None
        if state.url and self._is_alive(state):
            client = client_of(state)
            try:
                # One that died while it was asked is not hung either.
                if not await self._is_hung(state, client) and self._is_alive(state):
                    _log.info("opencode.adopted", pid=state.pid, url=state.url)
                    return state
                if self._is_alive(state):
                    _log.warning("opencode.hung", pid=state.pid)
            finally:
                await client.aclose()
        elif self._is_alive(state):
            try:
                return await self._starter.awaited(state)
            except DispatcherUnavailable as error:
                _log.warning("opencode.not_adopted", pid=state.pid, error=str(error))
                return None
        # Dead or stuck: what it started must not go on.
        await self._starter.end(state, is_stuck=True)
        return None

    # ---- looking after it

    @staticmethod
    def _is_alive(state: ServerState | None) -> bool:
        process = state.process if state else None
        return process is not None and is_running(process)

    async def _is_hung(self, state: ServerState, client: OpencodeClient) -> bool:
        """Ask until it answers, is dead, or was silent for too long; what others saw counts.

        Asks once at least, however long the silence that they wrote down.
        """
        settings, silence = self._settings, self._folder.read_silence()
        worker = await anyio.to_thread.run_sync(_worker_of, state)
        while self._is_alive(state):
            begun, work = time.monotonic(), work_of(worker)
            try:
                await client.version(within_seconds=_ASK_SECONDS)
                self._folder.forget_silence()
                return False
            except DispatcherUnavailable:
                now = time.monotonic()
            if now - begun > _ASK_SECONDS + _FROZEN_SECONDS:
                continue  # we stood still ourselves, and an answer may have come meanwhile
            silence = silence_after(
                silence,
                server_id=state.server_id,
                begun=begun,
                now=now,
                work=(work, work_of(worker)),
            )
            self._folder.write_silence(silence)
            if silence.is_hung(
                stillness=settings.stillness_patience, patience=settings.hang_patience
            ):
                return True
            await anyio.sleep(_ASK_AGAIN_SECONDS)
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
                await self._starter.end(state)
        finally:
            os.close(starting)


def _worker_of(state: ServerState) -> ProcessIdentity | None:
    """Find the process that answers: a launcher that waits for it does nothing, however busy it is.

    Blocks.
    """
    process, port = state.process, urlsplit(state.url or "").port
    found = listener(process.pid, port) if process and port else None
    return found or process


def warn_of_version(version: str) -> None:
    """Say so when a version's behaviour is not known."""
    if not version.startswith(KNOWN_MAJOR):
        _log.warning("opencode.version_unknown", version=version, known=f"{KNOWN_MAJOR}x")
