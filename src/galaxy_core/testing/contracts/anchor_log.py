"""The contract of `AnchorLog`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.anchor_log import Anchor, AnchorLog
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

NOON = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)
LAB = Anchor(trail="lab", sequence=7, digest="a" * 64, at=NOON)
DAY = timedelta(days=1)


class AnchorLogHarness(Harness[AnchorLog]):
    """A log in which nothing stands yet."""

    @abstractmethod
    async def anchors(self) -> Sequence[Anchor]:
        """What a person finds there, oldest first."""


class AnchorLogContract(Contract):
    """Everything that an `AnchorLog` owes whoever compares a trail with it one day."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_log_says_so(self, harness: AnchorLogHarness) -> None:
        """It raises `StorageUnavailable`, has added nothing, and goes on afterwards."""
        log = await harness.open()
        await log.add([LAB])
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await log.add([evolve(LAB, at=NOON + DAY)])
        assert list(await harness.anchors()) == [LAB]
        assert await log.add([evolve(LAB, at=NOON + DAY)]) == 1

    async def test_first_anchor_of_a_day_stands(self, harness: AnchorLogHarness) -> None:
        """Whoever comes again on the same day adds nothing, and changes nothing."""
        log = await harness.open()
        assert await log.add([LAB]) == 1
        later = evolve(LAB, sequence=9, digest="b" * 64, at=NOON + timedelta(hours=11))
        assert await log.add([LAB]) == 0
        assert await log.add([later]) == 0
        assert list(await harness.anchors()) == [LAB]

    async def test_one_call_counts_as_several(self, harness: AnchorLogHarness) -> None:
        """Of two anchors for one trail and day the first is added, whatever they come in."""
        log = await harness.open()
        assert await log.add([LAB, evolve(LAB, sequence=8)]) == 1
        assert list(await harness.anchors()) == [LAB]

    async def test_nothing_is_nothing(self, harness: AnchorLogHarness) -> None:
        """No anchors are no error."""
        assert await (await harness.open()).add([]) == 0
        assert list(await harness.anchors()) == []

    async def test_every_day_adds_one(self, harness: AnchorLogHarness) -> None:
        """Nothing is taken away; a day that comes late, after a wrong clock, is added too."""
        log = await harness.open()
        days = [evolve(LAB, sequence=n, at=NOON + n * DAY) for n in (1, 2, 0)]
        for anchor in days:
            assert await log.add([anchor]) == 1
        assert list(await harness.anchors()) == days

    async def test_days_are_those_of_utc(self, harness: AnchorLogHarness) -> None:
        """A day is the same for everybody, wherever they are."""
        log = await harness.open()
        west = timezone(timedelta(hours=-8))
        evening = datetime(2026, 2, 1, 20, 0, tzinfo=west)  # 2 February, 4 o'clock
        assert await log.add([LAB]) == 1
        assert await log.add([evolve(LAB, at=evening)]) == 0
        assert await log.add([evolve(LAB, at=evening - timedelta(hours=5))]) == 1

    async def test_trails_are_kept_apart(self, harness: AnchorLogHarness) -> None:
        """Names may hold spaces and letters of any script, and begin alike."""
        log = await harness.open()
        names = ["lab", "lab 2", "la", "2", "Küche", "the roof", "roof"]
        anchors = [evolve(LAB, trail=name) for name in names]
        assert await log.add(anchors) == len(anchors)
        assert await log.add(anchors) == 0
        assert list(await harness.anchors()) == anchors

    async def test_long_log_is_known_whole(self, harness: AnchorLogHarness) -> None:
        """Years of anchors, and many trails, hide none."""
        log = await harness.open()
        anchors = [evolve(LAB, trail=f"machine number {number}") for number in range(1_000)]
        assert await log.add(anchors) == len(anchors)
        assert await log.add([*anchors[:2], *anchors[-2:]]) == 0

    async def test_writers_at_once_add_one(self, harness: AnchorLogHarness) -> None:
        """Programs that start at the same moment write one anchor, not several."""
        logs = [await harness.open()]
        if self.features.has_several_processes:
            logs.append(await harness.open())
        added: list[int] = []

        async def add(number: int) -> None:
            added.append(await logs[number % len(logs)].add([evolve(LAB, sequence=number)]))

        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(add, number, name="add")
        assert sum(added) == 1
        assert len(await harness.anchors()) == 1

    @requires("survives_restart")
    async def test_anchors_survive_a_restart(self, harness: AnchorLogHarness) -> None:
        """The next process knows what was written."""
        await (await harness.open()).add([LAB])
        await harness.restart()
        assert await (await harness.open()).add([LAB]) == 0
        assert list(await harness.anchors()) == [LAB]
