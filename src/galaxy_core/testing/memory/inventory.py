"""What lies in a machine's memory, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from attrs import define, field

from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory.order_catalogue import MemoryOrderCatalogue
from galaxy_core.testing.memory.outbox import LetterBox
from galaxy_core.testing.memory.response_store import MemoryResponseStore


@define(eq=False)
class MemoryInventory(Inventory):
    """Looks into the stores of one machine; operations are named `inventory.<method>`."""

    _catalogue: MemoryOrderCatalogue
    _responses: MemoryResponseStore
    _letters: LetterBox
    faults: Faults = field(factory=Faults, kw_only=True)

    async def ended(self) -> AsyncIterator[OrderId]:
        async with self.faults.around("inventory.ended", is_write=False):
            views = await self._catalogue.list(limit=None)
        for view in views:
            if view.state.is_final:
                yield view.order.id

    async def answered(self) -> AsyncIterator[OrderId]:
        async with self.faults.around("inventory.answered", is_write=False):
            answered = list(self._responses.responses)
        for order_id in answered:
            yield order_id

    async def letters(self, names: Sequence[str]) -> Sequence[LetterTrace | None]:
        async with self.faults.around("inventory.letters", is_write=False):
            return [self._letter(name) for name in names]

    def _letter(self, name: str) -> LetterTrace | None:
        box = self._letters
        found = [
            (LetterPlace.WAITING, box.waiting.get(name)),
            (LetterPlace.SENT, box.sent.get(name)),
            (LetterPlace.UNDELIVERABLE, box.undeliverable.get(name, (None, ""))[0]),
        ]
        for place, letter in found:
            if letter is not None:
                is_sent = place is LetterPlace.SENT
                has_receipt = is_sent and any(each.is_last for each in letter.receipts)
                return LetterTrace(place=place, has_receipt=has_receipt)
        return None
