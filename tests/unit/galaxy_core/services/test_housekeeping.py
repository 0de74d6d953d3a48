"""A daemon's own tidying: when it goes round, what it leaves alone, and that it never gives up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import anyio
import pytest
from attrs import define, field

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.tidying import OldKind, Pile, Remnant, Ties
from galaxy_core.ports.old_files import OldFiles, OldRecords
from galaxy_core.services import housekeeping
from galaxy_core.services.housekeeping import GATEWAY_KINDS, HERMES_KINDS, Housekeeper
from galaxy_core.services.tidying import SLACK, Tidier
from galaxy_core.services.trail import Trail
from galaxy_core.testing.clock import ManualClock, settle
from galaxy_core.testing.memory import (
    AuditLines,
    MemoryAuditSink,
    MemoryOrderCatalogue,
    MemoryOrders,
)

pytestmark = pytest.mark.anyio

DAYS = timedelta(days=1)


@define
class NoFiles(OldFiles):
    """A folder in which nothing lies."""

    async def find(self, kind: OldKind, before: datetime) -> AsyncIterator[Sequence[Remnant]]:
        """Port `OldFiles`."""
        if kind not in OldKind:
            yield ()

    async def waiting(self) -> Ties:
        """Port `OldFiles`."""
        return Ties()

    async def remove(self, remnants: Sequence[Remnant]) -> int:
        """Port `OldFiles`."""
        return 0


@define
class Shelf(OldRecords):
    """Old things, by the time at which each was put there."""

    things: list[datetime]
    failures: list[Exception] = field(factory=list)
    looks: int = 0

    async def measure(self, before: datetime) -> Pile:
        """Port `OldRecords`."""
        self.looks += 1
        if self.failures:
            raise self.failures.pop()
        return Pile(count=sum(at < before for at in self.things))

    async def remove(self, before: datetime) -> Pile:
        """Port `OldRecords`."""
        old = [at for at in self.things if at < before]
        self.things = [at for at in self.things if at >= before]
        return Pile(count=len(old))


@define
class House:
    """What is kept, on a clock of its own."""

    clock: ManualClock = field(factory=ManualClock)
    lines: AuditLines = field(factory=AuditLines)
    shelves: dict[OldKind, Shelf] = field(init=False)

    def __attrs_post_init__(self) -> None:
        now = self.clock.now()
        self.shelves = {kind: Shelf([now - 40 * DAYS, now]) for kind in OldKind}

    @asynccontextmanager
    async def kept(
        self, ages: Mapping[OldKind, timedelta], kinds: frozenset[OldKind] = HERMES_KINDS
    ) -> AsyncIterator[None]:
        """A daemon is at work."""
        catalogue = MemoryOrderCatalogue(MemoryOrders(self.clock))
        trail = Trail(MemoryAuditSink(self.lines), self.clock, "lab")
        tidier = Tidier(NoFiles(), catalogue, trail, dict(self.shelves))
        async with anyio.create_task_group() as tasks:
            keeper = Housekeeper(tidier, self.clock, ages, kinds)
            tasks.start_soon(keeper.run, name="housekeeping")
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def pass_time(self, duration: timedelta) -> None:
        """Let time pass, and what is due be done."""
        self.clock.advance(duration)
        await settle(100)

    def left(self, kind: OldKind) -> int:
        """How many things of a kind are there."""
        return len(self.shelves[kind].things)


async def test_soon_after_the_start_and_once_a_day() -> None:
    """A machine that is switched off each night is tidied too; one that runs on, every day."""
    house = House()
    shelf = house.shelves[OldKind.LETTERS]
    async with house.kept({OldKind.LETTERS: 30 * DAYS}):
        assert shelf.looks == 0
        await house.pass_time(housekeeping.FIRST_AFTER)
        assert (shelf.looks, house.left(OldKind.LETTERS)) == (1, 1)
        await house.pass_time(29 * DAYS)
        assert (shelf.looks, house.left(OldKind.LETTERS)) == (2, 1)
        await house.pass_time(DAYS + SLACK)
        assert (shelf.looks, house.left(OldKind.LETTERS)) == (3, 0)


async def test_what_was_removed_is_on_record_and_nothing_else() -> None:
    """A line says kind, number and who; a round that finds nothing leaves none."""
    house = House()
    async with house.kept({OldKind.LETTERS: 30 * DAYS}):
        for _ in range(3):
            await house.pass_time(DAYS)
    lines = [record.event for record in house.lines.records]
    assert [line.event_type for line in lines] == [AuditType.CLEANED_UP]
    told = {name: lines[0].data[name] for name in ("kind", "count", "by")}
    assert told == {"kind": "letters", "count": 1, "by": "retention"}


async def test_what_has_no_age_is_kept_for_ever() -> None:
    """Only kinds that the settings give an age are looked at."""
    house = House()
    async with house.kept({OldKind.LETTERS: 30 * DAYS}):
        await house.pass_time(DAYS)
    assert {kind for kind in OldKind if house.left(kind) == 1} == {OldKind.LETTERS}


async def test_each_kind_has_one_daemon() -> None:
    """The gateway removes its notes and the page's chat, Hermes all else; together everything."""
    ages = dict.fromkeys(OldKind, 30 * DAYS)
    house = House()
    async with house.kept(ages, GATEWAY_KINDS):
        await house.pass_time(DAYS)
    assert {kind for kind in OldKind if house.left(kind) == 1} == {OldKind.NOTES, OldKind.WEB}
    async with house.kept(ages, HERMES_KINDS):
        await house.pass_time(DAYS)
    assert all(house.left(kind) == 1 for kind in OldKind)


@pytest.mark.parametrize("failure", [StorageUnavailable("the disk is away"), ValueError("a bug")])
async def test_a_round_that_fails_is_done_again(failure: Exception) -> None:
    """Neither a disk that is away nor a bug ends the daemon or its tidying."""
    house = House()
    house.shelves[OldKind.LETTERS].failures.append(failure)
    async with house.kept({OldKind.LETTERS: 30 * DAYS}):
        await house.pass_time(housekeeping.FIRST_AFTER)
        assert house.left(OldKind.LETTERS) == 2
        await house.pass_time(housekeeping.AGAIN_AFTER)
        assert house.left(OldKind.LETTERS) == 1


async def test_a_clock_that_jumps_ahead_is_not_believed_at_once() -> None:
    """A year ahead everything would be old: a day to put the clock right; what stays is true."""
    house = House()
    shelf = house.shelves[OldKind.LETTERS]
    year, rest = 365 * DAYS, housekeeping.EVERY / 2
    async with house.kept({OldKind.LETTERS: 90 * DAYS}):
        await house.pass_time(housekeeping.FIRST_AFTER)
        await house.pass_time(rest)
        house.clock.jump(year)
        await house.pass_time(rest)
        assert (shelf.looks, house.left(OldKind.LETTERS)) == (1, 2)
        house.clock.jump(-year)
        await house.pass_time(housekeeping.EVERY)
        assert (shelf.looks, house.left(OldKind.LETTERS)) == (2, 2)
        house.clock.jump(year)
        await house.pass_time(housekeeping.EVERY)
        assert house.left(OldKind.LETTERS) == 2
        await house.pass_time(housekeeping.EVERY)
        assert house.left(OldKind.LETTERS) == 0


async def test_a_kind_that_cannot_be_removed_keeps_no_other() -> None:
    """What fails each time is tried again in an hour, then daily; the rest goes all the same."""
    house = House()
    letters, files = house.shelves[OldKind.LETTERS], house.shelves[OldKind.FILES]
    letters.failures += [StorageUnavailable("it belongs to somebody else") for _ in range(9)]
    async with house.kept({OldKind.LETTERS: 30 * DAYS, OldKind.FILES: 30 * DAYS}):
        await house.pass_time(housekeeping.FIRST_AFTER)
        assert (house.left(OldKind.LETTERS), house.left(OldKind.FILES)) == (2, 1)
        await house.pass_time(housekeeping.AGAIN_AFTER)
        assert files.looks == 2
        await house.pass_time(housekeeping.EVERY - housekeeping.AGAIN_AFTER)
        assert files.looks == 2
        await house.pass_time(housekeeping.AGAIN_AFTER)
        assert files.looks == 3
