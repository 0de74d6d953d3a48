"""The contract of `Inventory`."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.testing.contracts.contract import Contract
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
    async def put_letter(self, letter: Letter, place: LetterPlace) -> None:
        """Post a letter and bring it there; with a receipt when it was sent to somebody."""


class InventoryContract(Contract):
    """Names of what a folder holds."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

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
            LetterTrace(place=LetterPlace.WAITING, has_receipt=False),
            LetterTrace(place=LetterPlace.SENT, has_receipt=True),
            LetterTrace(place=LetterPlace.UNDELIVERABLE, has_receipt=False),
            None,
            None,
        ]
