"""The contract of `OldRecords`."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar

import pytest
from attrs import frozen

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.tidying import Pile
from galaxy_core.ports.old_files import OldRecords
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

DAY = timedelta(days=1)


@frozen(kw_only=True)
class OldRecordsFeatures(StoreFeatures):
    """What there is to be said of old records."""

    has_sizes: bool = True
    """They take room worth telling."""


class OldRecordsHarness(Harness[OldRecords]):
    """A store without records."""

    @abstractmethod
    async def add(self, age: timedelta, *, is_over: bool = True) -> None:
        """Make one record that is so old now; one that is not over is needed whatever its age.

        The suite makes the oldest first, and what is not over last.
        """


class OldRecordsContract(Contract):
    """Everything that `OldRecords` owe whoever tidies a folder."""

    features: ClassVar[OldRecordsFeatures] = OldRecordsFeatures()

    @requires("can_refuse")
    async def test_refusing_store_is_not_an_empty_one(self, harness: OldRecordsHarness) -> None:
        """Both methods raise `StorageUnavailable`, and nothing is removed."""
        await harness.add(3 * DAY)
        records = await harness.open()
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await records.measure(harness.now() - DAY)
            with pytest.raises(StorageUnavailable):
                await records.remove(harness.now() - DAY)
        assert (await records.measure(harness.now() - DAY)).count == 1

    async def test_what_is_not_over_stays(self, harness: OldRecordsHarness) -> None:
        """Age alone removes nothing that somebody waits for."""
        await harness.add(5 * DAY)
        await harness.add(4 * DAY, is_over=False)
        records = await harness.open()
        for method in (records.measure, records.remove):
            assert (await method(harness.now() - DAY)).count == 1
        assert (await records.remove(harness.now() + DAY)).count == 0

    async def test_younger_ones_stay(self, harness: OldRecordsHarness) -> None:
        """What is not older than the moment is neither counted nor removed."""
        for age in (3 * DAY, 2 * DAY, DAY, timedelta(0)):
            await harness.add(age)
        records = await harness.open()
        before = harness.now() - DAY
        assert (await records.measure(before)).count == 2
        assert (await records.remove(before)).count == 2
        assert (await records.measure(harness.now() - DAY / 2)).count == 1
        assert (await records.measure(harness.now() + DAY)).count == 2

    async def test_looking_changes_nothing(self, harness: OldRecordsHarness) -> None:
        """What was measured is what goes, in number and in size."""
        for _ in range(3):
            await harness.add(2 * DAY)
        records = await harness.open()
        before = harness.now() - DAY
        pile = await records.measure(before)
        assert await records.measure(before) == pile
        removed = await records.remove(before)
        assert (removed.count, removed.size) == (pile.count, pile.size) == (3, pile.size)
        assert (pile.size > 0) == self.features.has_sizes

    async def test_removing_twice_is_no_error(self, harness: OldRecordsHarness) -> None:
        """A tidying that was cut short is done again; what is gone counts no more."""
        await harness.add(2 * DAY)
        records = await harness.open()
        before = harness.now() - DAY
        assert (await records.remove(before)).count == 1
        assert await records.remove(before) == Pile()
        assert await records.measure(before) == Pile()

    async def test_nothing_is_nothing(self, harness: OldRecordsHarness) -> None:
        """A store that was never used holds nothing old."""
        records = await harness.open()
        assert await records.measure(harness.now()) == Pile()
        assert await records.remove(harness.now()) == Pile()

    @requires("survives_restart")
    async def test_removed_is_removed_for_good(self, harness: OldRecordsHarness) -> None:
        """What went does not come back with the next process; the rest is still there."""
        await harness.add(3 * DAY)
        await harness.add(timedelta(0))
        await (await harness.open()).remove(harness.now() - DAY)
        await harness.restart()
        records = await harness.open()
        assert (await records.measure(harness.now() - DAY)).count == 0
        assert (await records.measure(harness.now() + DAY)).count == 1
