"""The command line dispatcher under test, over the fake opencode or the real one."""

import json
import os
import urllib.request
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_cli import OpencodeCliDispatcher, OpencodeCliSettings
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.contracts.dispatcher import DispatcherFeatures, DispatcherHarness
from galaxy_core.testing.opencode.__main__ import state_file
from galaxy_core.testing.opencode.store import Store
from galaxy_core.testing.opencode_project import write_opencode_project

FEATURES = DispatcherFeatures(
    outlives_caller=False, streams_text=False, asks_permissions=False, asks_questions=False
)


class OpencodeCliHarness(DispatcherHarness):
    """One project, and dispatchers of one Hermes after the other."""

    dispatcher: OpencodeCliDispatcher

    def __init__(
        self, folder: Path, binary: Path, environment: Mapping[str, str], model_url: str
    ) -> None:
        self._folder, self._binary, self._environment = folder, binary, environment
        self._model_url = model_url
        self.directory = write_opencode_project(folder / "project", model_url)
        self.asking_directory = write_opencode_project(
            folder / "asking", model_url, permission={"bash": "ask"}
        )
        self.dispatcher = self._new()

    def _new(self) -> OpencodeCliDispatcher:
        return OpencodeCliDispatcher(
            state=self._folder / "state",
            environment=self._environment,
            clock=SystemClock(),
            settings=OpencodeCliSettings(binary=self._binary, grace=timedelta(seconds=1)),
        )

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
        store = Store(state_file(self._environment))
        try:
            return store.count(prompt)
        finally:
            store.close()


class RealOpencodeCliHarness(OpencodeCliHarness):
    """The real opencode on the scripted model."""

    patience = timedelta(seconds=60)

    async def count(self, prompt: str) -> int:
        """Ask the model."""
        address = self._model_url.removesuffix("/v1") + "/__count"
        body = json.dumps({"prompt": prompt}).encode()
        with urllib.request.urlopen(address, body, timeout=10) as answer:  # noqa: S310, ASYNC210 - a test may block its own loop
            return int(json.load(answer)["count"])


def descendants_of(pid: int) -> list[int]:
    """Process ids of children and their children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children] + [
        grandchild for child in children for grandchild in descendants_of(int(child))
    ]
