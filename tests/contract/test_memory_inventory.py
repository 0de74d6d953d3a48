"""The inventory in memory under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

import pytest

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import Inventory, LetterPlace
from galaxy_core.testing.contracts import InventoryContract, InventoryHarness
from galaxy_core.testing.factories import make_ending, make_order, make_response
from galaxy_core.testing.memory import (
    LetterBox,
    MemoryInventory,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
    MemoryOutbox,
    MemoryResponseStore,
)
from tests.contract.memory_harness import MemoryHarness
from tests.contract.posting import bring


class MemoryInventoryHarness(MemoryHarness[Inventory], InventoryHarness):
    """The stores of one machine."""

    def __init__(self) -> None:
        super().__init__(lambda _: self._inventory())
        self.orders = MemoryOrders(self.clock, machine="test")
        self.responses = MemoryResponseStore()
        self.box = LetterBox()

    def _inventory(self) -> MemoryInventory:
        catalogue = MemoryOrderCatalogue(self.orders)
        return MemoryInventory(catalogue, self.responses, self.box, faults=self.faults)

    async def wait_order(self, order_id: str) -> None:
        queue = MemoryOrderQueue(self.orders, "one")
        await queue.enqueue(make_order(id=OrderId(order_id)))

    async def answer_order(self, order_id: str) -> None:
        await self.wait_order(order_id)
        await self.responses.commit(make_response(order_id=OrderId(order_id)))

    async def end_order(self, order_id: str) -> None:
        await self.answer_order(order_id)
        queue = MemoryOrderQueue(self.orders, "one")
        delivery = await queue.claim(only=OrderId(order_id))
        assert delivery is not None
        await queue.ack(delivery, make_ending())

    async def put_letter(
        self, letter: Letter, place: LetterPlace, *, has_receipt: bool = False
    ) -> None:
        outbox = MemoryOutbox(self.clock, self.box)
        await bring(outbox, letter, place, has_receipt=has_receipt)


class TestMemoryInventory(InventoryContract):
    """Names of what the stores hold."""

    @pytest.fixture
    def harness(self) -> MemoryInventoryHarness:
        """Give empty stores."""
        return MemoryInventoryHarness()
