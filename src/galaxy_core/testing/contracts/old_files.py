"""The contract of `OldFiles`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.tidying import OldKind, Remnant, Ties
from galaxy_core.ports.old_files import OldFiles
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

DAY = timedelta(days=1)
FILE_KINDS = (
    OldKind.ORDERS,
    OldKind.RESPONSES,
    OldKind.LETTERS,
    OldKind.FILES,
    OldKind.LEFTOVERS,
)
"""Kinds that are files of a machine's folder."""


class OldFilesHarness(Harness[OldFiles]):
    """A machine's folder without anything in it."""

    @abstractmethod
    async def leave(
        self,
        kind: OldKind,
        name: str,
        age: timedelta,
        *,
        outcome: Outcome | None = Outcome.SUCCEEDED,
    ) -> None:
        """Leave one thing behind that was changed last so long ago, of one of `FILE_KINDS`.

        `name` is the order's id, or the letter's name.  An order of the archive ended with
        `outcome`; None: it was put there before anybody had answered it.
        """

    @abstractmethod
    async def wait_letter(self, name: str, mentioned: str, *, is_undeliverable: bool) -> None:
        """Post a letter that carries a file of the order `mentioned`, and leave it at that.

        With `is_undeliverable` it is set aside.
        """

    @abstractmethod
    async def wait_order(self, order_id: str, mentioned: str) -> None:
        """Enqueue an order that speaks of a file of the order `mentioned`, and leave it waiting."""


async def found(files: OldFiles, kind: OldKind, before: datetime) -> list[Remnant]:
    """All of them, sorted by name."""
    pieces = [piece async for piece in files.find(kind, before)]
    return sorted((each for piece in pieces for each in piece), key=lambda each: each.name)


def subjects(remnants: Sequence[Remnant]) -> list[str]:
    """The orders or letters that they are about."""
    return [each.order_id or each.letter or "" for each in remnants]


class OldFilesContract(Contract):
    """Everything that `OldFiles` owe whoever tidies a folder."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    # ---- trouble

    @requires("can_refuse")
    async def test_refusing_folder_is_not_an_empty_one(self, harness: OldFilesHarness) -> None:
        """Every method raises `StorageUnavailable`: what waits may not seem to be nothing."""
        await harness.leave(OldKind.RESPONSES, "a", 2 * DAY)
        await harness.wait_letter("w", "b", is_undeliverable=False)
        files, before = await harness.open(), harness.now() - DAY
        remnants = await found(files, OldKind.RESPONSES, before)
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await found(files, OldKind.RESPONSES, before)
            with pytest.raises(StorageUnavailable):
                await files.waiting()
            with pytest.raises(StorageUnavailable):
                await files.remove(remnants)
        assert await files.remove(remnants) == 1
        assert (await files.waiting()).waiting_letters == {"w"}

    async def test_removing_twice_is_no_error(self, harness: OldFilesHarness) -> None:
        """What is gone, by whomever, does not count and stops nobody."""
        for name in ("a", "b", "c"):
            await harness.leave(OldKind.RESPONSES, name, 2 * DAY)
        files = await harness.open()
        first, *rest = await found(files, OldKind.RESPONSES, harness.now() - DAY)
        assert await files.remove([first]) == 1
        assert await files.remove([first, *rest]) == 2
        assert await files.remove([first, *rest]) == 0
        assert await files.remove([]) == 0

    # ---- finding and removing

    @pytest.mark.parametrize("kind", FILE_KINDS)
    async def test_old_ones_are_found_and_removed(
        self, harness: OldFilesHarness, kind: OldKind
    ) -> None:
        """Of each kind what is older goes, said by its order or letter; the rest stays."""
        for other in FILE_KINDS:
            await harness.leave(other, "old ä-1", 3 * DAY)
            await harness.leave(other, "old-2", 2 * DAY)
            await harness.leave(other, "young", timedelta(hours=1))
        files, before = await harness.open(), harness.now() - DAY
        old = await found(files, kind, before)
        assert sorted(subjects(old)) == ["old ä-1", "old-2"]
        assert {each.kind for each in old} == {kind}
        assert all(each.size > 0 for each in old)
        assert await files.remove(old) == 2
        assert await found(files, kind, before) == []
        for other in FILE_KINDS:
            left = await found(files, other, harness.now() + DAY)
            assert len(left) == (1 if other is kind else 3)

    @pytest.mark.parametrize("kind", [kind for kind in OldKind if kind not in FILE_KINDS])
    async def test_other_kinds_are_no_files(self, harness: OldFilesHarness, kind: OldKind) -> None:
        """Whoever asks for what others keep is given nothing."""
        await harness.leave(OldKind.RESPONSES, "a", 2 * DAY)
        assert await found(await harness.open(), kind, harness.now()) == []

    @pytest.mark.parametrize("kind", FILE_KINDS)
    async def test_nothing_is_nothing(self, harness: OldFilesHarness, kind: OldKind) -> None:
        """A folder that was never used holds nothing old, and nothing waits in it."""
        files = await harness.open()
        assert await found(files, kind, harness.now()) == []
        assert await files.waiting() == Ties()

    async def test_many_are_found_once_while_they_go(self, harness: OldFilesHarness) -> None:
        """What is removed piece by piece, as it is found, leaves nothing out."""
        names = [f"order-{number}" for number in range(2_500)]
        for name in names:
            await harness.leave(OldKind.RESPONSES, name, 2 * DAY)
        files, seen = await harness.open(), list[str]()
        async for piece in files.find(OldKind.RESPONSES, harness.now() - DAY):
            assert 0 < len(piece) < len(names)
            seen += subjects(piece)
            assert await files.remove(piece) == len(piece)
        assert sorted(seen) == sorted(names)
        assert await found(files, OldKind.RESPONSES, harness.now()) == []

    # ---- what has to be known to decide

    @pytest.mark.parametrize(
        "outcome, is_unanswered, is_undecided",
        [
            (Outcome.SUCCEEDED, False, False),
            (Outcome.FAILED, False, False),
            (Outcome.CANCELLED, False, False),
            (Outcome.DEAD, False, True),
            (None, True, False),
        ],
    )
    async def test_how_an_order_ended_is_told(
        self,
        harness: OldFilesHarness,
        outcome: Outcome | None,
        *,
        is_unanswered: bool,
        is_undecided: bool,
    ) -> None:
        """One that nobody answered, or that was given up and left at that, is marked."""
        await harness.leave(OldKind.ORDERS, "a", 2 * DAY, outcome=outcome)
        files = await harness.open()
        (order,) = await found(files, OldKind.ORDERS, harness.now() - DAY)
        assert (order.order_id, order.is_unanswered) == ("a", is_unanswered)
        assert order.is_undecided == is_undecided

    async def test_files_of_an_order_that_was_given_up(self, harness: OldFilesHarness) -> None:
        """They are marked as the order is: whoever has it tried again needs them."""
        for name, outcome in (("dead", Outcome.DEAD), ("done", Outcome.SUCCEEDED)):
            await harness.leave(OldKind.ORDERS, name, 2 * DAY, outcome=outcome)
            await harness.leave(OldKind.FILES, name, 2 * DAY)
        files = await harness.open()
        old = await found(files, OldKind.FILES, harness.now() - DAY)
        assert {each.order_id: each.is_undecided for each in old} == {"dead": True, "done": False}

    async def test_letters_that_nobody_has_yet_are_told(self, harness: OldFilesHarness) -> None:
        """Waiting and undeliverable ones, and the orders whose files they carry."""
        await harness.leave(OldKind.LETTERS, "sent", 2 * DAY)
        await harness.wait_letter("w", "order-1", is_undeliverable=False)
        await harness.wait_letter("u", "order 2", is_undeliverable=True)
        ties = await (await harness.open()).waiting()
        assert ties.waiting_letters == {"w", "u"}
        assert ties.mentioned == {"order-1", "order 2"}

    async def test_orders_that_speak_of_files_are_heard(self, harness: OldFilesHarness) -> None:
        """An order that waits may work on the files of one that ended."""
        await harness.wait_order("b", "order-1")
        ties = await (await harness.open()).waiting()
        assert (ties.mentioned, ties.waiting_letters) == ({OrderId("order-1")}, frozenset())
