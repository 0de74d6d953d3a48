"""Looking after opencode: nothing is started by a look, and a stuck server is reported."""

from __future__ import annotations

from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from galaxy_adapters.dispatch_opencode_server import (
    OpencodeServerDispatcher,
    OwnServer,
    OwnServerSettings,
)
from galaxy_adapters.dispatch_opencode_server.client import OpencodeClient
from galaxy_adapters.dispatch_opencode_server.statefile import (
    ServerState,
    StateFolder,
    state_root,
)
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.testing.memory import ManualClock

pytestmark = pytest.mark.anyio


class Servers:
    """No server at all."""

    def __init__(self) -> None:
        self.suspected = 0

    def client(self) -> OpencodeClient:
        """Port of the dispatcher."""
        raise DispatcherUnavailable("there is none")

    async def connect(self) -> OpencodeClient:
        """Port of the dispatcher."""
        raise AssertionError("a look must start nothing")

    async def suspect(self) -> None:
        """Port of the dispatcher."""
        self.suspected += 1

    def end_with_us(self) -> None:
        """Port of the dispatcher."""

    async def aclose(self) -> None:
        """Port of the dispatcher."""


async def test_a_look_starts_no_server() -> None:
    """Nobody has needed one: that is no trouble."""
    servers = Servers()
    async with OpencodeServerDispatcher(servers, clock=ManualClock()) as dispatcher:
        assert isinstance(dispatcher, AgentCare)
        assert await dispatcher.look() is None
        await dispatcher.revive()
    assert servers.suspected == 1


class ComingUp(Servers):
    """A server that takes its time, and never comes."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = anyio.Event()
        self.may_end = anyio.Event()

    async def connect(self) -> OpencodeClient:
        """Port of the dispatcher."""
        self.begun.set()
        await self.may_end.wait()
        raise DispatcherUnavailable("it did not come up")


async def test_a_first_start_is_no_trouble_until_it_failed() -> None:
    """However long a cold start takes: it has a patience of its own."""
    servers = ComingUp()
    async with (
        OpencodeServerDispatcher(servers, clock=ManualClock()) as dispatcher,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(dispatcher.check)
        await servers.begun.wait()
        assert await dispatcher.look() is None
        servers.may_end.set()
        while (health := await dispatcher.look()) is None:
            await anyio.lowlevel.checkpoint()
        assert not health.is_ready


async def test_a_server_that_is_written_down(tmp_path: Path) -> None:
    """None at all, one that comes up, one whose process is gone."""
    environment = {"HOME": str(tmp_path)}
    server = OwnServer(OwnServerSettings(machine=tmp_path, environment=environment))
    assert await server.look() is None
    folder = StateFolder(state_root(environment), tmp_path)
    folder.make()
    state = ServerState(server_id="a", password="p")
    folder.write(state)
    assert await server.look() is None
    gone = ServerState(
        server_id="a",
        password="p",
        url="http://127.0.0.1:9",
        pid=2**22 - 1,
        birth="1",
    )
    folder.write(gone)
    with pytest.raises(DispatcherUnavailable, match="gone"):
        await server.look()
    assert folder.read() == gone, "a look ends nothing"
