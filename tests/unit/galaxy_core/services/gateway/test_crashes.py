"""kill -9 at every write between a message and the receipt of its answer.

Each write of the gateway is a place to die, before and after it takes effect; then another gateway
starts.  However that falls, one order was made, and its answer arrived: once, unless the kill came
while it was being sent; then at most twice, and the second copy says that it may be one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.message import Quote
from galaxy_core.testing.memory.channel import REPEAT_MARK
from tests.unit.galaxy_core.services.gateway.world import OWNER, STRANGER, GatewayWorld

pytestmark = pytest.mark.anyio

MOST_WRITES = 60


async def _live_through(world: GatewayWorld, is_done: Callable[[], bool]) -> int:
    """Start gateways until one is not killed; how many lives it took."""
    hermes = world.lab.hermes()
    lives = 1
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hermes.run)
        while await world.run_until_killed(is_done):
            lives += 1
            assert lives < 10
        hermes.stop()
        hermes.stop()
    return lives


def _is_answered(world: GatewayWorld) -> bool:
    return bool(world.answers()) and not world.lab.letters.waiting and not world.service.messages


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_death_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path, *, is_done: bool
) -> None:
    """One message, killed once at each of the writes between update and receipt."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path)
        world.faults.crash_at(step, is_done=is_done)
        world.say("do it")
        lives = await _live_through(world, partial(_is_answered, world))
        assert world.lab.agent.prompts == ["do it"], f"write {step}"
        if lives == 1:
            assert step > 5, "nothing was ever killed"
            return
        answers, died_at = world.answers(), world.faults.writes[step - 1]
        # Between the call and its receipt nobody can know whether it was sent.
        most = 2 if died_at in {"channel.send", "outbox.record"} else 1
        assert 1 <= len(answers) <= most, f"write {step}: {died_at}"
        assert all(text.startswith(REPEAT_MARK) for text in answers[1:]), f"write {step}: {died_at}"
    raise AssertionError("there are more writes than were tried")


async def test_death_while_a_held_message_is_decided(tmp_path: Path) -> None:
    """A forward that a person takes as an order runs once, wherever the gateway dies."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path)
        world.faults.crash_at(step, is_done=True)
        world.say("", quotes=(Quote(text="deploy"),))

        def is_asked(world: GatewayWorld = world) -> bool:
            return bool(world.buttons(OWNER)) and not world.service.messages

        hermes = world.lab.hermes()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hermes.run)
            killed = 0
            while await world.run_until_killed(is_asked):
                killed += 1
            world.press("Take it as an order")
            while await world.run_until_killed(partial(_is_answered, world)):
                killed += 1
            hermes.stop()
            hermes.stop()
        assert len(world.lab.agent.prompts) == 1, f"write {step}"
        if not killed:
            assert step > 10, "nothing was ever killed"
            return
    raise AssertionError("there are more writes than were tried")


async def test_store_that_is_full_delays_and_loses_nothing(tmp_path: Path) -> None:
    """A message that cannot be stored now is taken when it can."""
    world = GatewayWorld(tmp_path)
    world.faults.fail("audit.record", StorageUnavailable("no space"), times=3)
    async with world.running():
        world.say("do it")
        for _ in range(10):
            await world.clock.elapse(timedelta(seconds=30))
        await world.until(lambda: len(world.answers()) == 1)
    assert world.lab.agent.prompts == ["do it"]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_death_in_a_cancel_ends_one_order(tmp_path: Path, *, is_done: bool) -> None:
    """The command that is carried out once more means the same order, and is answered."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path)
        async with world.running(with_hermes=False):
            for number in range(3):
                world.say(f"order {number}", message_id=str(number))
            await world.until(lambda world=world: len(world.lab.orders.all()) == 3)  # type: ignore[misc]
            await world.until(lambda world=world: not world.service.messages)  # type: ignore[misc]
        world.faults.clear()
        world.faults.crash_at(step, is_done=is_done)
        world.say("/cancel", message_id="9")
        killed = 0
        while await world.run_until_killed(partial(_is_quiet, world)):
            killed += 1
        world.faults.clear()
        async with world.running():
            await world.clock.elapse(timedelta(minutes=3))
            await world.until(lambda world=world: all(e.ending for e in world.lab.orders.all()))  # type: ignore[misc]
        assert len(world.lab.agent.prompts) == 2, f"write {step}"
        told = [t for t in world.texts() if "Cancelled" in t or "Stopping" in t or "over" in t]
        assert told, f"write {step}"
        if not killed:
            assert step > 10, "nothing was ever killed"
            return
    raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_death_in_an_order_for_all_runs_it_once_on_each(
    tmp_path: Path, *, is_done: bool
) -> None:
    """Neither machine is left out, neither gets it twice."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path, ("lab", "den"))
        world.faults.crash_at(step, is_done=is_done)
        world.say("/order all dig", message_id="1")
        killed = 0
        async with anyio.create_task_group() as tasks:
            hermeses = [machine.hermes() for machine in world.machines.values()]
            for hermes in hermeses:
                tasks.start_soon(hermes.run)
            while await world.run_until_killed(
                lambda world=world: len(world.answers()) >= 2 and _is_quiet(world)  # type: ignore[misc]
            ):
                killed += 1
            for hermes in hermeses:
                hermes.stop()
                hermes.stop()
        prompts = [machine.agent.prompts for machine in world.machines.values()]
        assert prompts == [["dig"], ["dig"]], f"write {step}"
        if not killed:
            assert step > 10, "nothing was ever killed"
            return
    raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_death_while_somebody_is_let_in(tmp_path: Path, *, is_done: bool) -> None:
    """The person is in, with the role that was said, and the owner hears so."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path)
        async with world.running(with_hermes=False):
            world.say("/start", by=STRANGER, message_id="1")
            await world.until(lambda world=world: bool(world.texts(STRANGER)))  # type: ignore[misc]
            code = world.texts(STRANGER)[0].split("**")[1]
        world.faults.clear()
        world.faults.crash_at(step, is_done=is_done)
        world.say(f"/pair {code} viewer", message_id="9")
        killed = 0
        while await world.run_until_killed(partial(_is_quiet, world)):
            killed += 1
        assert any("is in, as viewer" in text for text in world.texts()), f"write {step}"
        assert any("as **viewer**" in text for text in world.texts(STRANGER)), f"write {step}"
        if not killed:
            assert step > 5, "nothing was ever killed"
            return
    raise AssertionError("there are more writes than were tried")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_death_in_a_refusal_leaves_it_refused(tmp_path: Path, *, is_done: bool) -> None:
    """Who was told that a message is not kept does not see it run after a restart."""
    for step in range(1, MOST_WRITES):
        world = GatewayWorld(tmp_path)
        world.config = evolve(world.config, orders_per_minute=1)
        world.faults.crash_at(step, is_done=is_done)
        world.say("one", message_id="1")
        world.say("two", message_id="2")
        killed = 0
        while await world.run_until_killed(partial(_is_quiet, world)):
            killed += 1  # each new gateway has counted nobody's orders yet
        refused = any("I have not kept it" in text for text in world.texts())
        assert len(world.lab.orders.all()) == 2 - refused, f"write {step}"
        if not killed:
            assert refused
            assert step > 10, "nothing was ever killed"
            return
    raise AssertionError("there are more writes than were tried")


def _is_quiet(world: GatewayWorld) -> bool:
    boxes = [world.letters, *(machine.letters for machine in world.machines.values())]
    return not world.service.messages and not any(box.waiting for box in boxes)
