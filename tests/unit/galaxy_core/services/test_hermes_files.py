"""Files that go back with an answer: where the agent is told to put them, and who gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.domain.run import RunRequest
from galaxy_core.services.hermes import Hermes
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import BreakOff, MemoryOrderFiles, Script
from tests.unit.galaxy_core.services.world import World

pytestmark = pytest.mark.anyio

FROM_CHAT = {"chat_id": "42", "channel": "telegram"}


@pytest.fixture
def world() -> World:
    """A machine with nothing to do, whose folder is /m."""
    world = World()
    world.config = evolve(world.config, directory=Path("/m"))
    return world


@pytest.fixture
def files() -> MemoryOrderFiles:
    """Its orders' folders."""
    return MemoryOrderFiles(root=Path("/m/files"))


async def run(world: World, files: MemoryOrderFiles | None, *orders: Order) -> list[RunRequest]:
    """Work the orders off; what the agent was asked."""
    asked: list[RunRequest] = []

    def play(request: RunRequest, number: int) -> Script:
        asked.append(request)
        if files is not None and (folder := files.folder(request.order_id)) in files.folders:
            files.folders[folder] |= {"plot.png", ".draft"}
        return Script.saying("done")

    world.agent.default = play
    await world.submit(*orders)
    await Hermes(evolve(world.ports(), files=files), world.config).run(until_idle=True)
    return asked


async def test_what_the_agent_puts_there_goes_with_the_letter(
    world: World, files: MemoryOrderFiles
) -> None:
    """The agent is told one folder; the letter names what it has put there for this order."""
    (request,) = await run(world, files, make_order(id="a", **FROM_CHAT))
    assert request.system is not None
    (link,) = files.links
    assert str(link) in request.system
    assert "\n" not in request.system
    assert world.letters.waiting["hermes-a"].files == ("files/a/out/plot.png",)


@pytest.mark.parametrize("where", [{}, {"channel": "telegram"}, {"chat_id": "42"}])
async def test_orders_without_a_chat_stay_as_they_are(
    world: World, files: MemoryOrderFiles, where: dict[str, Any]
) -> None:
    """Nobody would get the files: nothing is added to the prompt, no folder is made."""
    (request,) = await run(world, files, make_order(id="a", **where))
    assert request.system is None
    assert files.folders == {}
    assert world.letters.waiting["hermes-a"].files == ()


async def test_without_the_setting_nothing_is_told(world: World) -> None:
    """Switched off, what a person writes reaches the agent with nothing around it."""
    (request,) = await run(world, None, make_order(id="a", **FROM_CHAT))
    assert request.system is None


async def test_a_second_attempt_is_told_the_same_folder(
    world: World, files: MemoryOrderFiles
) -> None:
    """An agent that goes on after an interruption still knows where to put its files."""
    asked: list[RunRequest] = []

    def play(request: RunRequest, number: int) -> Script:
        asked.append(request)
        return Script((BreakOff(),)) if len(asked) == 1 else Script.saying("done")

    world.agent.default = play
    await world.submit(make_order(id="a", **FROM_CHAT))
    async with anyio.create_task_group() as tasks:
        hermes = Hermes(evolve(world.ports(), files=files), world.config)
        tasks.start_soon(hermes.run)
        await world.until(lambda: len(asked) == 1)
        await settle()
        await world.elapse(100)
        await world.until(lambda: world.ended("a"))
        hermes.stop()
    assert len(asked) == 2
    assert asked[0].system == asked[1].system


@pytest.mark.parametrize("operation", ["files.open", "files.list"])
async def test_an_answer_does_not_wait_for_its_files(
    world: World, files: MemoryOrderFiles, operation: str
) -> None:
    """A folder that cannot be made or read costs the files, not the answer."""
    files.faults.fail(operation, StorageUnavailable("Cannot."), times=None)
    await run(world, files, make_order(id="a", **FROM_CHAT))
    assert world.answer("a") == "done"
    assert world.letters.waiting["hermes-a"].files == ()


async def test_files_elsewhere_are_named_in_full(world: World) -> None:
    """Only what lies in the machine's folder has a path that begins there."""
    files = MemoryOrderFiles(root=Path("/elsewhere"))
    await run(world, files, make_order(id="a", **FROM_CHAT))
    assert world.letters.waiting["hermes-a"].files == ("/elsewhere/a/out/plot.png",)
    assert OrderId("a") in world.responses.responses
