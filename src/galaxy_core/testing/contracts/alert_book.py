"""The contract of `AlertBook`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.health import AlertState
from galaxy_core.domain.letter import Severity
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

STATE = AlertState(key="a", since=START, severity=Severity.ALERT, text="It is.")


class AlertBookContract(Contract):
    """Everything that an `AlertBook` owes a watcher."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_book_keeps_what_it_has(self, harness: Harness[AlertBook]) -> None:
        """A write raises `StorageUnavailable`; what cannot be read is as good as empty."""
        book = await harness.open()
        await book.write([STATE])
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await book.write([])
            assert not await book.read()
        assert tuple(await book.read()) == (STATE,)
        await book.write([])
        assert not await book.read()

    async def test_reader_never_sees_half_a_book(self, harness: Harness[AlertBook]) -> None:
        """Who looks while it is replaced sees the old or the new one, whole."""
        book = await harness.open()
        reader = await harness.open() if self.features.has_several_processes else book
        states = [[STATE] * 3, [STATE] * 200]
        await book.write(states[0])
        is_over = anyio.Event()

        async def write() -> None:
            for number in range(20):
                await book.write(states[number % 2])
            is_over.set()

        async with anyio.create_task_group() as group:
            group.start_soon(write, name="write")
            while not is_over.is_set():
                assert list(await reader.read()) in states

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
        await book.write([STATE])
        await book.write([])
        assert not await book.read()

    @requires("survives_restart")
    async def test_book_survives_a_restart(self, harness: Harness[AlertBook]) -> None:
        """A restart neither repeats nor forgets."""
        await (await harness.open()).write([STATE])
        await harness.restart()
        assert tuple(await (await harness.open()).read()) == (STATE,)

    @requires("has_several_processes")
    async def test_anybody_may_read(self, harness: Harness[AlertBook]) -> None:
        """The page shows what the watchers have said."""
        watcher, page = await harness.open(), await harness.open()
        assert not await page.read()
        await watcher.write([STATE])
        assert tuple(await page.read()) == (STATE,)
