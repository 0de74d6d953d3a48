"""Looking after opencode's server under the suite of that port, over the fake opencode."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskStatus

from galaxy_adapters.dispatch_opencode_server import OpencodeServerDispatcher, OwnServer
from galaxy_core.testing.contracts import AgentCareContract, AgentCareHarness
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import private_environment
from tests.opencode_server import ServerHarness, Site, state


class ServerCareHarness(ServerHarness, AgentCareHarness):
    """A server of the test's own, which is stopped in the middle of whatever it does."""

    async def _hold(
        self, server: OwnServer, *, task_status: TaskStatus[OpencodeServerDispatcher]
    ) -> None:
        # Not waited for until it is ready, as in the other suite: that would start it.
        async with self.site.dispatcher(server) as dispatcher:
            task_status.started(dispatcher)
            await anyio.sleep_forever()

    async def hang_agent(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGSTOP)

    async def incarnation(self) -> object:
        known = state(self.server)
        return known["server_id"] if known is not None else None


class TestOpencodeServerCare(AgentCareContract):
    """The fake opencode, one for each test."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[ServerCareHarness]:
        """Give a machine on which no server runs."""
        site = Site(
            machine=tmp_path / "machine",
            binary=write_stub(tmp_path / "bin"),
            environment=private_environment(tmp_path / "home", {"PATH": "/usr/bin:/bin"}),
            model_url="http://127.0.0.1:9/v1",
        )
        async with ServerCareHarness(site, tmp_path).running() as running:
            yield running
        await site.close()
