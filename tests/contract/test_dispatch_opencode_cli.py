"""`opencode run` under the suite that every dispatcher passes, over the fake opencode."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from galaxy_core.domain.delivery import Finding
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.domain.run import Verdict
from galaxy_core.testing.contracts.dispatcher import DispatcherContract
from galaxy_core.testing.contracts.dispatcher_harness import is_alive, sleeper
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode.__main__ import state_file
from galaxy_core.testing.opencode.store import Store
from galaxy_core.testing.opencode_project import private_environment
from tests.opencode_cli import FEATURES, FakeOpencodeCliHarness, killed_hermes


class TestOpencodeCliDispatcher(DispatcherContract):
    """The command line, each prompt a process."""

    features = FEATURES

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[FakeOpencodeCliHarness]:
        """Give a project and a fake opencode with nothing in it."""
        binary = write_stub(tmp_path / "bin")
        environment = private_environment(tmp_path / "home", dict(os.environ))  # noqa: TID251
        harness = FakeOpencodeCliHarness(tmp_path, binary, environment, "http://127.0.0.1:9/v1")
        yield harness
        await harness.close()

    async def test_hermes_killed_leaves_no_orphan(self, harness: FakeOpencodeCliHarness) -> None:
        """After `kill -9` of Hermes the agent and its shell are ended, and the prompt is found."""
        await killed_hermes(harness)

    async def test_session_lost_after_it_was_prepared_is_replaced_next_time(
        self, harness: FakeOpencodeCliHarness
    ) -> None:
        """Nothing was sent, so the next attempt sends it, in a new session, and says so."""
        prompt = harness.echoes()
        request = harness.request(prompt)
        ticket = await harness.prepare(request)
        store = Store(state_file(harness.environment))
        store.delete_session(ticket.session_id)
        store.close()
        with pytest.raises(DispatcherUnavailable, match="new one"):
            await harness.run(request, ticket)
        second = await harness.prepare(request, ticket)
        assert second.is_session_replaced
        assert (await harness.run(request, second)).ended.verdict is Verdict.SUCCEEDED
        assert await harness.count(prompt) == 1

    async def test_leftovers_of_a_killed_supervisor_are_ended(
        self, harness: FakeOpencodeCliHarness
    ) -> None:
        """What no supervisor watches any more carries the run's marker."""
        pid_file = harness.directory / "pid"
        request = harness.request(harness.runs(sleeper(pid_file)))
        ticket = await harness.prepare(request)
        run = harness.watch(request, ticket)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.follow)
            await harness.until(lambda: pid_file.exists() and bool(pid_file.read_text()))
            process = harness.dispatcher._runs[ticket.message_id]._process
            assert process is not None
            os.kill(process.pid, signal.SIGKILL)
        assert run.ended.verdict is Verdict.BROKEN_OFF
        assert not is_alive(pid_file)
        assert await harness.dispatcher.find(ticket) is Finding.BROKEN_OFF
