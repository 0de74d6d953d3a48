"""The command line dispatcher over the real opencode, on the scripted model.

A run takes seconds here: these are the tests of the contract in which the real one may differ most
from the fake, and what only the real one can show.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import evolve

from galaxy_core.domain.order import Attachment
from galaxy_core.domain.run import RunStarted, Verdict
from galaxy_core.testing.contracts.dispatcher_answers import AnswersSuite
from galaxy_core.testing.contracts.dispatcher_harness import DispatcherSuite
from galaxy_core.testing.contracts.dispatcher_people import PeopleSuite
from galaxy_core.testing.opencode_project import NAMED_AGENT, OTHER_MODEL
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.opencode_cli import FEATURES, RealOpencodeCliHarness, killed_hermes

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [pytest.mark.anyio, pytest.mark.opencode]

AWKWARD = '--help "it\'s" `x` $(touch y) \\"\n\n> Grüße 世界 👩‍🚀\te\u0301\r\n' + "0123456789" * 990


class TestRealOpencodeCli(DispatcherSuite):
    """The contract's tests that matter most, and a few of its own."""

    features = FEATURES

    test_session_remembers = AnswersSuite.test_session_remembers
    test_tool_that_nobody_may_allow = PeopleSuite.test_tool_that_nobody_may_allow_fails_the_run

    @pytest.fixture(scope="module")
    async def harness(
        self,
        tmp_path_factory: pytest.TempPathFactory,
        opencode_binary: Path,
        opencode_environment: dict[str, str],
        scripted_model: ScriptedModelServer,
    ) -> AsyncIterator[RealOpencodeCliHarness]:
        """Give one project for all tests: what can be chosen there is asked for once."""
        folder = tmp_path_factory.mktemp("cli")
        harness = RealOpencodeCliHarness(
            folder, opencode_binary, opencode_environment, scripted_model
        )
        yield harness
        await harness.close()

    async def test_awkward_prompt_arrives(self, harness: RealOpencodeCliHarness) -> None:
        """Byte for byte, at the agent found by its beginning, and at the model asked for."""
        request = harness.request(AWKWARD, agent="sisyphus", model=OTHER_MODEL)
        run = await harness.run(request, await harness.prepare(request))
        assert run.ended.verdict is Verdict.SUCCEEDED
        assert await harness.count(AWKWARD) == 1
        assert run.of(RunStarted)[0].agent == NAMED_AGENT
        assert harness.model.history[-1]["model"] == OTHER_MODEL.partition("/")[2]

    async def test_file_and_system_prompt_arrive(self, harness: RealOpencodeCliHarness) -> None:
        """An attachment is read to the model; the system prompt is added to opencode's own."""
        note = harness.directory / "note with space.txt"
        note.write_text("forty-two")
        plain = harness.request("DUMP")
        ticket = await harness.prepare(plain)
        before = json.loads((await harness.run(plain, ticket)).ended.text)
        system = "You are asked by tester."
        request = evolve(plain, system=system, attachments=(Attachment(path=note.name),))
        run = await harness.run(request, await harness.prepare(request, ticket))
        seen = json.loads(run.ended.text)
        assert seen["messages"][0]["len"] >= before["messages"][0]["len"] + len(system)
        assert "forty-two" in json.dumps(seen["messages"][-1])

    async def test_hermes_killed_leaves_no_orphan(self, harness: RealOpencodeCliHarness) -> None:
        """After `kill -9` of Hermes, opencode and its shell are ended, and the prompt is found."""
        await killed_hermes(harness)
