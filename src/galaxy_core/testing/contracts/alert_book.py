"""The contract of `AlertBook`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from galaxy_core.domain.health import AlertState
from galaxy_core.domain.letter import Severity
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures


class AlertBookContract(Contract):
    """Everything that an `AlertBook` owes a watcher."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    async def test_no_book_is_empty(self, harness: Harness[AlertBook]) -> None:
        """A watcher that never said anything has nothing to remember."""
        assert not await (await harness.open()).read()

    async def test_every_field_comes_back(self, harness: Harness[AlertBook]) -> None:
        """What was said decides what is said next."""
        book = await harness.open()
        states = (
            AlertState(key="hermes:lab", since=START, severity=Severity.CRITICAL, text="It is."),
            AlertState(
                key="a b ✓",
                since=START,
                severity=Severity.WARNING,
                text="It was.",
                remedy="Do.",
                times=3,
                is_posted=True,
                is_pushed=True,
                ended_at=START + timedelta(minutes=1),
                is_settled=True,
            ),
        )
        await book.write(states)
        assert tuple(await book.read()) == states

    async def test_newer_book_replaces_the_older(self, harness: Harness[AlertBook]) -> None:
        """What is not in it any more is forgotten."""
        book = await harness.open()
        state = AlertState(key="a", since=START, severity=Severity.ALERT, text="It is.")
        await book.write([state])
        await book.write([])
        assert not await book.read()

    @requires("survives_restart")
    async def test_book_survives_a_restart(self, harness: Harness[AlertBook]) -> None:
        """A restart neither repeats nor forgets."""
        state = AlertState(key="a", since=START, severity=Severity.ALERT, text="It is.")
        await (await harness.open()).write([state])
        await harness.restart()
        assert tuple(await (await harness.open()).read()) == (state,)
