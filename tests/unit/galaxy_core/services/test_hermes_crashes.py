"""Hermes killed at every single write of an order's life, before it takes effect and after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import define, evolve

from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.domain.run import TextAppended
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.faults import Crash
from galaxy_core.testing.memory import BreakOff, Faults, Script
from tests.unit.galaxy_core.services.world import World

pytestmark = pytest.mark.anyio

PAYLOAD = "Build it"


def scripts() -> dict[str, tuple[Script, ...]]:
    """Lives of an order whose writes are swept."""
    return {
        "answers": (Script.saying("built"),),
        "fails": (Script.failing("no"),),
        "breaks off": (
            Script((TextAppended(text="half", part="1"), BreakOff())),
            Script.saying("built"),
        ),
    }


@define(eq=False)
class Straggler(Faults):
    """One write is overtaken by all that are under way beside it, and dies before it is done."""

    straggles_at: int | None = None

    @asynccontextmanager
    async def around(self, operation: str, *, is_write: bool = True) -> AsyncIterator[None]:
        """Run one operation, unless it is the one that comes too late."""
        if is_write and len(self.writes) + 1 == self.straggles_at:
            self.straggles_at = None
            self.writes.append(operation)
            await settle()
            raise Crash(operation)
        async with Faults.around(self, operation, is_write=is_write):
            yield


async def drain(world: World) -> None:
    """Start Hermes again and again, as a service manager does, until the order has ended."""
    for _ in range(30):
        await world.run_until_killed()
        if world.ended("a"):
            # What a kill after the archive has left is swept by the next start that lives.
            while await world.run_until_killed():
                pass
            return
        await world.elapse(400)
    raise AssertionError(f"never ended; writes: {world.faults.writes}")


async def begin(life: str) -> World:
    """A machine with one order waiting."""
    world = World(faults=Straggler())
    # Kills count as attempts: two of them and a break must not exhaust the order.
    world.config = evolve(world.config, retry=RetryPolicy(max_attempts=5, jitter=0.0))
    world.agent.script(PAYLOAD, *scripts()[life])
    await world.submit(make_order(id="a", payload=PAYLOAD))
    world.faults.writes.clear()
    return world


def check(world: World, life: str) -> None:
    """What must hold however often Hermes was killed."""
    assert world.agent.prompts.count(PAYLOAD) == 1, "the prompt reached the model once"
    expected = "The order failed" if life == "fails" else "built"
    assert expected in world.answer("a")
    assert list(world.letters.waiting) == ["hermes-a"]
    kinds = world.types("a")
    assert "order_received" in kinds
    assert "order_execution_started" in kinds
    ends = [e for e in world.events("a") if e.event_type.startswith("order_executed")]
    assert ends
    assert sum(1 for e in ends if not e.data.get("is_repeated")) <= 1
    assert not world.journal.records, "nothing is left behind"


async def writes_of(life: str) -> int:
    """How many writes an undisturbed life has."""
    world = await begin(life)
    await drain(world)
    check(world, life)
    return len(world.faults.writes)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("life", list(scripts()))
async def test_killed_at_every_write(life: str, *, is_done: bool) -> None:
    """Whatever write it dies at: one prompt at the model, one answer, one letter, all on record."""
    for step in range(1, await writes_of(life) + 1):
        world = await begin(life)
        world.faults.crash_at(step, is_done=is_done)
        await drain(world)
        check(world, life)


@pytest.mark.parametrize("life", list(scripts()))
async def test_killed_with_one_of_several_writes_missing(life: str) -> None:
    """Of writes that go side by side any one may be the one that a kill leaves out."""
    for step in range(1, await writes_of(life) + 1):
        world = await begin(life)
        assert isinstance(world.faults, Straggler)
        world.faults.straggles_at = step
        await drain(world)
        check(world, life)


@pytest.mark.parametrize("life", list(scripts()))
async def test_killed_twice(life: str) -> None:
    """A second kill during the recovery from the first changes nothing."""
    total = await writes_of(life)
    for first in range(1, total + 1, 2):
        for second in range(first + 1, total + 6, 3):
            world = await begin(life)
            world.faults.crash_at(first, is_done=True)
            world.faults.crash_at(second)
            await drain(world)
            check(world, life)
