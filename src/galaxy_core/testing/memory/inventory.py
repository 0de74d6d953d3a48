"""What lies in a machine's memory, by name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from attrs import define

from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.testing.memory.order_catalogue import MemoryOrderCatalogue
from galaxy_core.testing.memory.outbox import LetterBox
from galaxy_core.testing.memory.response_store import MemoryResponseStore


@define(eq=False)
class MemoryInventory(Inventory):
    """Looks into the stores of one machine."""

    _catalogue: MemoryOrderCatalogue
    _responses: MemoryResponseStore
    _letters: LetterBox

    async def ended(self) -> AsyncIterator[OrderId]:
        for view in await self._catalogue.list(limit=None):
            if view.state.is_final:
                yield view.order.id

    async def answered(self) -> AsyncIterator[OrderId]:
        for order_id in list(self._responses.responses):
            yield order_id

    async def letters(self, names: Sequence[str]) -> Sequence[LetterTrace | None]:
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
                has_receipt = any(receipt.is_last for receipt in letter.receipts)
                return LetterTrace(place=place, has_receipt=has_receipt)
        return None
