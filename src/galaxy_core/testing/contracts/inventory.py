"""The contract of `Inventory`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures


class InventoryHarness(Harness[Inventory]):
    """A machine's folder without anything in it."""

    @abstractmethod
    async def end_order(self, order_id: str) -> None:
        """Enqueue an order, answer and archive it."""

    @abstractmethod
    async def wait_order(self, order_id: str) -> None:
        """Enqueue an order that goes on waiting."""

    @abstractmethod
    async def answer_order(self, order_id: str) -> None:
        """Enqueue an order and answer it, no more: whoever was about to end it died."""

    @abstractmethod
    async def put_letter(
        self, letter: Letter, place: LetterPlace, *, has_receipt: bool = False
    ) -> None:
        """Post a letter and bring it there, after all of it was delivered to one chat, or not."""


class InventoryContract(Contract):
    """Names of what a folder holds."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_folder_is_not_an_empty_one(self, harness: InventoryHarness) -> None:
        """Every method raises `StorageUnavailable`: nothing may be called missing for that."""
        await harness.end_order("a")
        inventory = await harness.open()
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                [each async for each in inventory.ended()]
            with pytest.raises(StorageUnavailable):
                [each async for each in inventory.answered()]
            with pytest.raises(StorageUnavailable):
                await inventory.letters(["a"])
        assert [each async for each in inventory.ended()] == ["a"]

    async def test_answered_is_not_ended(self, harness: InventoryHarness) -> None:
        """A response that nobody has archived the order for yet is told, and the order is not."""
        await harness.answer_order("a")
        inventory = await harness.open()
        assert [each async for each in inventory.ended()] == []
        assert [each async for each in inventory.answered()] == ["a"]

    async def test_what_comes_meanwhile_does_no_harm(self, harness: InventoryHarness) -> None:
        """What was there when the list was begun is told, whatever comes while it is read."""
        for number in range(5):
            await harness.end_order(f"old-{number}")
        inventory = await harness.open()
        for listed in (inventory.ended(), inventory.answered()):
            names = [await anext(listed)]
            await harness.end_order(f"new-{names[0]}")
            names += [each async for each in listed]
            old = sorted(name for name in names if name.startswith("old"))
            assert old == [f"old-{number}" for number in range(5)]

    async def test_nothing_there(self, harness: InventoryHarness) -> None:
        """A folder that nobody has used yet holds nothing, and stays as it is."""
        inventory = await harness.open()
        assert [each async for each in inventory.ended()] == []
        assert [each async for each in inventory.answered()] == []
        assert list(await inventory.letters(["a"])) == [None]

    async def test_orders_that_ended(self, harness: InventoryHarness) -> None:
        """Every ended order once in both lists, and none that waits."""
        inventory = await harness.open()
        for name in ("a", "ä b", "c.json"):
            await harness.end_order(name)
        await harness.wait_order("waits")
        assert sorted([each async for each in inventory.ended()]) == ["a", "c.json", "ä b"]
        assert sorted([each async for each in inventory.answered()]) == ["a", "c.json", "ä b"]

    async def test_places_of_letters(self, harness: InventoryHarness) -> None:
        """Each letter is told at its place, in the order of the question."""
        inventory = await harness.open()
        for place in LetterPlace:
            await harness.put_letter(Letter(name=place.value, message="x"), place)
        names = [*(place.value for place in LetterPlace), "none", "../waiting"]
        assert list(await inventory.letters(names)) == [
            *(LetterTrace(place=place, has_receipt=False) for place in LetterPlace),
            None,
            None,
        ]

    async def test_receipts_of_letters(self, harness: InventoryHarness) -> None:
        """Only of a letter that was sent a receipt counts: the others have somebody left."""
        inventory = await harness.open()
        for place in LetterPlace:
            letter = Letter(name=place.value, message="x")
            await harness.put_letter(letter, place, has_receipt=True)
        assert list(await inventory.letters([*LetterPlace])) == [
            LetterTrace(place=place, has_receipt=place is LetterPlace.SENT) for place in LetterPlace
        ]
