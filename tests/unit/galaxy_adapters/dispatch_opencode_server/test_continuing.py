"""A plugin that goes on after a turn's end; over the fake opencode, with the plugin played here."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.dispatch_opencode_server.ids import MessageIds
from galaxy_core.domain.run import StepFinished, Verdict
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import private_environment
from tests.opencode_server import ServerHarness, Site, quick_settling

pytestmark = pytest.mark.anyio


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[ServerHarness]:
    """Give a dispatcher, and a project (`asking_directory`) that has the plugin."""
    site = Site(
        machine=tmp_path,
        binary=write_stub(tmp_path / "bin"),
        environment=private_environment(tmp_path / "home", {"PATH": "/usr/bin:/bin"}),
        model_url="http://127.0.0.1:9/v1",
        defaults=quick_settling(),
    )
    made = ServerHarness(site, tmp_path)
    config = made.asking_directory / "opencode.json"
    plugin = '{"plugin": ["file:///opt/node_modules/oh-my-opencode"], '
    config.write_text(plugin + config.read_text().lstrip()[1:])
    async with made.running():
        yield made
    await site.close()


async def test_turn_that_the_plugin_begins_belongs_to_the_order(harness: ServerHarness) -> None:
    """The end of the first turn is not the end, and what comes after it is part of the answer."""
    request = harness.request("SAY part one", directory=harness.asking_directory)
    run = harness.watch(request, await harness.prepare(request))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await run.seen(StepFinished)
        body = {
            "messageID": MessageIds().next(harness.now()),
            "parts": [{"type": "text", "text": "SAY part two"}],
        }
        await harness.server.client().prompt(run.ticket.session_id, body)
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == "part one\n\npart two"


async def test_open_todos_are_waited_for_and_given_up(harness: ServerHarness) -> None:
    """As long as any is open the plugin may go on; one day it does not, and the run ends."""
    request = harness.request(harness.plans(), directory=harness.asking_directory)
    began = anyio.current_time()
    run = await harness.run(request, await harness.prepare(request))
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert anyio.current_time() - began >= quick_settling().settling.given_up.total_seconds()


async def test_projects_without_the_plugin_end_at_once(harness: ServerHarness) -> None:
    """Nobody else pays for the plugin's manners."""
    request = harness.request("SAY done")
    run = await harness.run(request, await harness.prepare(request))
    assert run.ended.text == "done"
    client = harness.server.client()
    assert (await client.config(str(harness.directory))).get("plugin") is None
