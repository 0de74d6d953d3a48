"""The contract of `Reporting`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from datetime import timedelta
from typing import ClassVar

import anyio
from attrs import frozen

from galaxy_core.ports.reporting import Reporting
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract
from galaxy_core.testing.contracts.harness import Harness

NOTICED_WITHIN = timedelta(seconds=15)


@frozen(kw_only=True)
class ReportingFeatures:
    """A report has no choices."""


class ReportingHarness(Harness[Reporting]):
    """A channel, and the way to its other side."""

    name: str
    """The channel's name."""

    @abstractmethod
    async def break_way(self) -> None:
        """Nothing gets through from now on."""

    @abstractmethod
    async def mend_way(self) -> None:
        """All is as before; the channel has time to try again."""

    @abstractmethod
    async def pause(self) -> None:
        """Let a moment pass before the suite looks again."""


class ReportingContract(Contract):
    """Everything that a `Reporting` channel owes whoever watches it."""

    features: ClassVar[ReportingFeatures] = ReportingFeatures()

    async def test_broken_way_shows_within_15_seconds(self, harness: ReportingHarness) -> None:
        """Whatever is wrong is said in a word, until it is over."""
        channel = await harness.open()
        await _until(harness, lambda: channel.sign().heard_at is not None)
        assert channel.sign().trouble is None
        await harness.break_way()
        await _pass(harness, NOTICED_WITHIN)
        assert channel.sign().trouble
        await harness.mend_way()
        await _until(harness, lambda: channel.sign().trouble is None)

    async def test_way_that_never_was_shows_too(self, harness: ReportingHarness) -> None:
        """A channel that begins without its other side says so, and has heard nothing."""
        await harness.break_way()
        channel = await harness.open()
        await _pass(harness, NOTICED_WITHIN)
        assert channel.sign().heard_at is None
        assert channel.sign().trouble

    async def test_what_was_heard_stays_said(self, harness: ReportingHarness) -> None:
        """People see since when there is silence."""
        channel = await harness.open()
        await _until(harness, lambda: channel.sign().heard_at is not None)
        await harness.break_way()
        await _pass(harness, NOTICED_WITHIN)
        heard_at = channel.sign().heard_at
        assert heard_at is not None
        await _pass(harness, NOTICED_WITHIN)
        assert channel.sign().heard_at == heard_at
        assert heard_at <= harness.now() - NOTICED_WITHIN

    async def test_sign_bears_the_name(self, harness: ReportingHarness) -> None:
        """Several channels are told apart; asking again and again changes nothing."""
        channel = await harness.open()
        signs = {channel.sign() for _ in range(100)}
        assert {sign.name for sign in signs} == {harness.name}
        assert len(signs) == 1


async def _pass(harness: ReportingHarness, duration: timedelta) -> None:
    for _ in range(duration // timedelta(seconds=1)):
        await harness.elapse(timedelta(seconds=1))


async def _until(harness: ReportingHarness, is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(PROMPT_SECONDS * 3):
        while not is_so():
            await harness.pause()
