"""The clock that stands still."""

from datetime import timedelta

import anyio
import pytest

from galaxy_core.testing.clock import START, ManualClock, settle

pytestmark = pytest.mark.anyio
SECOND = timedelta(seconds=1)


async def test_time_stands_still() -> None:
    """Without the test's word no time passes."""
    clock = ManualClock()
    await settle()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)


async def test_jump_moves_the_time_of_day_alone() -> None:
    """Setting the clock wakes nobody and ages nothing."""
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        group.start_soon(clock.sleep, SECOND, name="sleep")
        await settle()
        clock.jump(timedelta(days=1))
        await settle()
        assert clock.now() == START + timedelta(days=1)
        assert (clock.monotonic(), clock.sleepers) == (0.0, 1)
        group.cancel_scope.cancel()
    assert clock.sleepers == 0


async def test_elapse_wakes_every_sleeper_at_its_own_moment() -> None:
    """A loop that sleeps again and again ticks as often as it would in life."""
    clock = ManualClock()
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            await clock.sleep(SECOND * 2)
            ticks.append(clock.monotonic())

    async with anyio.create_task_group() as group:
        group.start_soon(tick, name="tick")
        await clock.elapse(SECOND * 7)
        group.cancel_scope.cancel()
    assert ticks == [2.0, 4.0, 6.0]
    assert clock.monotonic() == 7.0


async def test_time_does_not_run_backwards() -> None:
    """Only the time of day can be set back."""
    clock = ManualClock()
    with pytest.raises(ValueError, match="forward"):
        clock.advance(-SECOND)
    clock.jump(-SECOND)
    assert clock.now() == START - SECOND
