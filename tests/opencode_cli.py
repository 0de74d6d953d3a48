"""The command line dispatcher under test, over the fake opencode or the real one."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import anyio

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_cli import OpencodeCliDispatcher, OpencodeCliSettings
from galaxy_core.domain.delivery import Finding, Ticket
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.run import RunRequest
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.contracts.dispatcher import DispatcherFeatures, DispatcherHarness
from galaxy_core.testing.contracts.dispatcher_harness import is_alive, sleeper
from galaxy_core.testing.opencode.__main__ import state_file
from galaxy_core.testing.opencode.store import Store
from galaxy_core.testing.opencode_project import write_opencode_project
from galaxy_core.testing.scripted_llm import ScriptedModelServer

FEATURES = DispatcherFeatures(
    outlives_caller=False, streams_text=False, asks_permissions=False, asks_questions=False
)


class OpencodeCliHarness(DispatcherHarness):
    """One project, and dispatchers of one Hermes after the other."""

    dispatcher: OpencodeCliDispatcher

    def __init__(
        self,
        folder: Path,
        binary: Path,
        environment: Mapping[str, str],
        model_url: str,
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or SystemClock()
        self.state, self.binary, self.environment = folder / "state", binary, environment
        self.directory = write_opencode_project(folder / "project", model_url)
        self.asking_directory = write_opencode_project(
            folder / "asking", model_url, permission={"bash": "ask"}
        )
        self.dispatcher = self._new()

    def _new(self) -> OpencodeCliDispatcher:
        return make_dispatcher(self.state, self.binary, self.environment, self.clock)

    async def crash_caller(self) -> Dispatcher:
        """Do what the kernel does for a process that is killed: close its end of the pipes."""
        for run in self.dispatcher._runs.values():
            if run._process is not None:
                run._process.stop()
        self.dispatcher = self._new()
        return self.dispatcher

    async def crash_agent(self) -> None:
        """Kill opencode itself; the supervisor is told by the kernel."""
        for run in self.dispatcher._runs.values():
            if run._process is not None:
                for process in descendants_of(run._process.pid):
                    os.kill(process, 9)

    async def close(self) -> None:
        """End what a failed test left running."""
        for run in list(self.dispatcher._runs.values()):
            await run.cancel()


class FakeOpencodeCliHarness(OpencodeCliHarness):
    """The fake opencode counts for itself."""

    async def count(self, prompt: str) -> int:
        """Look into its state."""
        store = Store(state_file(self.environment))
        try:
            return store.count(prompt)
        finally:
            store.close()


class RealOpencodeCliHarness(OpencodeCliHarness):
    """The real opencode; the scripted model counts."""

    patience = timedelta(seconds=60)

    def __init__(
        self,
        folder: Path,
        binary: Path,
        environment: Mapping[str, str],
        model: ScriptedModelServer,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(folder, binary, environment, model.url, clock)
        self.model = model

    async def count(self, prompt: str) -> int:
        """Ask the model."""
        return self.model.count(prompt)


def descendants_of(pid: int) -> list[int]:
    """Process ids of children and their children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] + [
        grandchild for child in children for grandchild in descendants_of(int(child))
    ]


async def killed_hermes(harness: OpencodeCliHarness) -> None:
    """Kill a whole process with -9 while its agent's shell works, and check what is left."""
    pid_file = harness.directory / "killed-hermes"
    prompt = harness.runs(sleeper(pid_file))
    places = [str(harness.state), str(harness.binary), str(harness.directory)]
    hermes = await anyio.open_process(
        [sys.executable, "-m", "tests.opencode_cli", *places, prompt],
        env={**harness.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=None,
    )
    async with hermes:
        await harness.until(lambda: pid_file.exists() and bool(pid_file.read_text()))
        hermes.kill()
        await hermes.wait()
        assert hermes.stdout is not None
        session_id, message_id, data = json.loads(await hermes.stdout.receive())
    ticket = Ticket(
        dispatcher=harness.dispatcher.name,
        session_id=session_id,
        message_id=message_id,
        attempt=1,
        data=data,
    )
    assert await harness.dispatcher.find(ticket) is Finding.BROKEN_OFF
    assert not is_alive(pid_file)
    assert await harness.count(prompt) == 1


def make_dispatcher(
    state: Path, binary: Path, environment: Mapping[str, str], clock: Clock | None = None
) -> OpencodeCliDispatcher:
    """Make a dispatcher, as a Hermes that starts would."""
    settings = OpencodeCliSettings(binary=binary, grace=timedelta(seconds=1))
    return OpencodeCliDispatcher(
        state=state, environment=environment, clock=clock or SystemClock(), settings=settings
    )


async def run_one_prompt(*words: str) -> None:
    """Be a Hermes with one order: print its ticket, carry it out."""
    state, binary, directory, prompt = words
    dispatcher = make_dispatcher(Path(state), Path(binary), dict(os.environ))  # noqa: TID251
    request = RunRequest(order_id=OrderId("one"), prompt=prompt, directory=Path(directory))
    ticket = await dispatcher.prepare(request, None, attempt=1)
    print(json.dumps([ticket.session_id, ticket.message_id, dict(ticket.data)]), flush=True)
    async with aclosing(dispatcher.run(request, ticket)) as events:
        async for _ in events:
            pass


if __name__ == "__main__":
    anyio.run(run_one_prompt, *sys.argv[1:])
