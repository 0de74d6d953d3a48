"""`opencode run` under the suite that every dispatcher passes, over the fake opencode."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_core.testing.contracts.dispatcher import DispatcherContract
from galaxy_core.testing.opencode import write_stub
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
