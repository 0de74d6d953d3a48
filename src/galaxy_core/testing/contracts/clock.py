"""The contract of `Clock`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio
from attrs import frozen

from galaxy_core.ports.clock import Clock
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract
from galaxy_core.testing.contracts.harness import Harness


@frozen(kw_only=True)
class ClockFeatures:
    """A clock has no choices."""


class ClockContract(Contract):
    """Everything that a `Clock` owes its readers; `Harness.tick` is the time it is tested with."""

    features: ClassVar[ClockFeatures] = ClockFeatures()

    async def test_time_of_day_is_in_utc(self, harness: Harness[Clock]) -> None:
        """Times are aware and comparable, wherever the machine stands."""
        clock = await harness.open()
        assert clock.now().utcoffset() == timedelta(0)

    async def test_monotonic_time_never_goes_back(self, harness: Harness[Clock]) -> None:
        """Whatever happens to the time of day, time goes on."""
        clock = await harness.open()
        readings = []
        for _ in range(5):
            readings.append(clock.monotonic())
            await harness.elapse(harness.tick)
        assert readings == sorted(readings)
        assert readings[-1] > readings[0]

    async def test_both_sides_go_on_together(self, harness: Harness[Clock]) -> None:
        """A span on the time of day is the same span on the monotonic side."""
        clock = await harness.open()
        day, seconds = clock.now(), clock.monotonic()
        await harness.elapse(harness.tick * 4)
        passed = (clock.now() - day).total_seconds() - (clock.monotonic() - seconds)
        assert abs(passed) < harness.tick.total_seconds()

    async def test_sleep_lasts_as_long_as_asked(self, harness: Harness[Clock]) -> None:
        """A sleeper wakes when its time has passed, and not before."""
        clock = await harness.open()
        begun = clock.monotonic()
        slept: list[float] = []

        async def sleep() -> None:
            await clock.sleep(harness.tick * 2)
            slept.append(clock.monotonic() - begun)

        with anyio.fail_after(PROMPT_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(sleep, name="sleep")
                while not slept:
                    await harness.elapse(harness.tick)
        # A floating-point hair is not a moment too early.
        assert slept[0] >= harness.tick.total_seconds() * 2 - 1e-6

    async def test_sleepers_wake_in_the_order_of_their_time(self, harness: Harness[Clock]) -> None:
        """Who asked for less sleeps less."""
        clock = await harness.open()
        woken: list[int] = []

        async def sleep(ticks: int) -> None:
            await clock.sleep(harness.tick * ticks)
            woken.append(ticks)

        with anyio.fail_after(PROMPT_SECONDS):
            async with anyio.create_task_group() as group:
                for ticks in (5, 1, 3):
                    group.start_soon(sleep, ticks, name="sleep")
                while len(woken) < 3:
                    await harness.elapse(harness.tick)
        assert woken == [1, 3, 5]

    async def test_no_time_is_no_sleep(self, harness: Harness[Clock]) -> None:
        """A wait that is over already returns at once."""
        clock = await harness.open()
        with anyio.fail_after(PROMPT_SECONDS):
            await clock.sleep(timedelta(0))
            await clock.sleep(timedelta(seconds=-5))

    async def test_sleep_can_be_cancelled(self, harness: Harness[Clock]) -> None:
        """Nobody is kept from stopping by a sleeper."""
        clock = await harness.open()
        with anyio.fail_after(PROMPT_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(clock.sleep, timedelta(days=1), name="sleep")
                await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
