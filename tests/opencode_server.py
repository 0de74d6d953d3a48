"""The opencode server's dispatcher under test, over the fake opencode or the real one."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

import anyio
import httpx
from anyio.abc import TaskStatus
from attrs import define, field

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_server import (
    OpencodeDefaults,
    OpencodeServerDispatcher,
    OwnServer,
    OwnServerSettings,
    SettlingTimes,
)
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.contracts.dispatcher import DispatcherFeatures, DispatcherHarness
from galaxy_core.testing.opencode_project import write_opencode_project
from galaxy_core.testing.script import JSON


@define(kw_only=True)
class Site:
    """One machine's folder with an opencode and an environment for it."""

    machine: Path
    binary: Path
    environment: Mapping[str, str]
    model_url: str
    defaults: OpencodeDefaults | None = None
    count: Callable[[str], int] | None = None
    """How often the model was given a prompt; None asks the fake server itself."""
    clock: Clock = field(factory=SystemClock)
    """The dispatchers' own."""

    def server(self, *, outlives_us: bool = True) -> OwnServer:
        """Describe the machine's own server; the same one for everybody."""
        return OwnServer(
            OwnServerSettings(
                machine=self.machine,
                environment=self.environment,
                binary=self.binary,
                outlives_us=outlives_us,
            )
        )

    def dispatcher(self, server: OwnServer) -> OpencodeServerDispatcher:
        """Make a dispatcher, as a Hermes that starts would."""
        return OpencodeServerDispatcher(server, clock=self.clock, defaults=self.defaults)

    def project(self, folder: Path, permission: Mapping[str, JSON] | None = None) -> Path:
        """Make a project folder."""
        return write_opencode_project(folder, self.model_url, permission=permission)

    async def close(self) -> None:
        """End the machine's server."""
        server = self.server(outlives_us=False)
        if state(server) is not None:
            await server.connect()
        await server.aclose()


def state(server: OwnServer) -> dict[str, object] | None:
    """Read what is written down about the server; None when nothing is."""
    try:
        known: dict[str, object] = json.loads(server.state_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return known


class ServerHarness(DispatcherHarness):
    """The contract's view of one dispatcher on the machine's server."""

    features = DispatcherFeatures()

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        # The project is shared, as opencode takes a second or more to load one; what an earlier
        # test left in it is removed. `asking_directory` cannot be: "always" is remembered.
        self.directory = site.project(site.machine / "project")
        for left in self.directory.glob("[!o]*"):
            left.unlink()
        self.asking_directory = site.project(folder / "asking", {"bash": "ask"})
        self.server = site.server()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Give the harness with its dispatchers open."""
        async with anyio.create_task_group() as self._tasks:
            self.dispatcher = await self._open(self.server)
            yield self
            self._tasks.cancel_scope.cancel()

    async def _open(self, server: OwnServer) -> OpencodeServerDispatcher:
        # In a task of its own: a test may be inside a task group of its own when it asks for the
        # successor of a crashed caller.
        opened: OpencodeServerDispatcher = await self._tasks.start(self._hold, server)
        return opened

    async def _hold(
        self, server: OwnServer, *, task_status: TaskStatus[OpencodeServerDispatcher]
    ) -> None:
        async with self.site.dispatcher(server) as dispatcher:
            await ready(dispatcher)
            task_status.started(dispatcher)
            await anyio.sleep_forever()

    @staticmethod
    def now() -> datetime:
        """The time of day."""
        return SystemClock().now()

    async def count(self, prompt: str) -> int:
        """Ask the model, or the fake that plays it."""
        if self.site.count is not None:
            return self.site.count(prompt)
        client = self.server.client()
        async with httpx.AsyncClient(base_url=client.endpoint.url, trust_env=False) as fake:
            response = await fake.post("/__fake/count", json={"prompt": prompt})
        return int(response.json()["count"])

    async def crash_caller(self) -> Dispatcher:
        """Leave the old dispatcher to itself and make another."""
        # What a dead process leaves behind is its server and the state file; the successor
        # shares nothing else with it.
        self.server = self.site.server()
        return await self._open(self.server)

    async def crash_agent(self) -> None:
        """Kill the server."""
        self.server.client()
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGKILL)


async def ready(dispatcher: Dispatcher) -> None:
    """Wait until the agent can take work."""
    with anyio.fail_after(60):
        while not (await dispatcher.check()).is_ready:  # noqa: ASYNC110 - a process comes up
            await anyio.sleep(0.05)


def quick_settling() -> OpencodeDefaults:
    """Give defaults under which a plugin's quiet lasts a moment."""
    times = SettlingTimes(quiet=timedelta(seconds=0.3), given_up=timedelta(seconds=1))
    return OpencodeDefaults(settling=times)
