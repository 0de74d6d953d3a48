"""The built-in scripted agent under the suite that every dispatcher passes."""

# ruff: noqa: D102 - the suite's harness says what each method is for

import json
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_scripted import LABEL, ScriptedDispatcher
from galaxy_adapters.dispatch_scripted.dispatcher import digest
from galaxy_core.domain.delivery import Finding
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.testing.contracts.dispatcher import (
    DispatcherContract,
    DispatcherFeatures,
    DispatcherHarness,
)
from galaxy_core.testing.factories import unique

FEATURES = DispatcherFeatures(
    outlives_caller=False,
    runs_tools=False,
    counts_steps=False,
    chooses_agents=False,
    reports_usage=False,
    lives_apart=False,
)


class ScriptedHarness(DispatcherHarness):
    """A scripted agent that remembers in a file."""

    patience = timedelta(seconds=10)

    def __init__(self, folder: Path) -> None:
        self.directory = self.asking_directory = folder
        self.file = folder / "agent.json"
        self.dispatcher = ScriptedDispatcher(SystemClock(), self.file)

    async def count(self, prompt: str) -> int:
        if not self.file.exists():
            return 0
        messages = json.loads(self.file.read_text())["messages"].values()
        return sum(message["digest"] == digest(prompt) for message in messages)

    async def crash_caller(self) -> Dispatcher:
        self.dispatcher = ScriptedDispatcher(SystemClock(), self.file)
        return self.dispatcher

    async def crash_agent(self) -> None:
        raise NotImplementedError("the agent lives and dies with its caller")

    def runs(self, *commands: str) -> str:
        permits = "\n".join(f"PERMIT {command}" for command in commands)
        return f"{unique('Run')}\n{permits}\nSAY all done"

    def says_slowly(self, text: str) -> str:
        return f"{unique('Say')}\nSAY {text}"

    def fails(self, message: str) -> str:
        return f"{unique('Fail')}\nFAIL {message}"


class TestScriptedDispatcher(DispatcherContract):
    """With a file, so that it can be asked after a restart."""

    features = FEATURES

    @pytest.fixture
    def harness(self, tmp_path: Path) -> ScriptedHarness:
        """Give an agent that remembers nothing yet."""
        return ScriptedHarness(tmp_path)

    async def test_every_answer_says_what_it_is(self, harness: ScriptedHarness) -> None:
        """Nobody takes the demo for a model."""
        _, run = await harness.run_new(harness.echoes())
        assert run.ended.text.startswith(LABEL)
        _, failed = await harness.run_new(harness.fails("no"))
        assert failed.ended.text.startswith(LABEL)

    async def test_agent_without_a_file_cannot_tell_after_a_restart(
        self, harness: ScriptedHarness
    ) -> None:
        """What was only in memory is not guessed at."""
        forgetful = ScriptedDispatcher(SystemClock())
        ticket = await harness.prepare(harness.request("x"), dispatcher=forgetful)
        assert await forgetful.find(ticket) is Finding.UNKNOWN
        assert await ScriptedDispatcher(SystemClock()).find(ticket) is Finding.CANNOT_TELL

    @pytest.mark.parametrize("content", ["", "[]", '{"sessions": {}, "messages": {"x": {}}}'])
    async def test_broken_file_is_an_empty_memory(
        self, harness: ScriptedHarness, content: str
    ) -> None:
        """A torn file costs the demo its memory, not its life."""
        harness.file.write_text(content)
        fresh = await harness.crash_caller()
        assert (await fresh.check()).is_ready
        _, run = await harness.run_new(harness.echoes())
        assert "echo[1]" in run.ended.text
