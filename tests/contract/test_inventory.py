"""The inventory of a folder under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from pathlib import Path

import pytest

from galaxy_adapters.inventory_filesystem import FilesystemInventory
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.testing.contracts import InventoryContract, InventoryHarness
from galaxy_core.testing.factories import make_ending, make_order, make_response
from tests.contract.files_harness import FilesHarness
from tests.contract.posting import bring


class FilesInventoryHarness(FilesHarness[Inventory], InventoryHarness):
    """A folder, written by the adapters that write it in life."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, lambda its: FilesystemInventory(its.layout))

    def _queue(self) -> FilesystemOrderQueue:
        return FilesystemOrderQueue(
            self.layout, machine="test", clock=self.clock, incidents=self.incidents
        )

    async def wait_order(self, order_id: str) -> None:
        async with self._queue() as queue:
            await queue.enqueue(make_order(id=OrderId(order_id)))

    async def answer_order(self, order_id: str) -> None:
        await self.wait_order(order_id)
        await self._respond(order_id)

    async def end_order(self, order_id: str) -> None:
        async with self._queue() as queue:
            await queue.enqueue(make_order(id=OrderId(order_id)))
            delivery = await queue.claim(only=OrderId(order_id))
            assert delivery is not None
            await self._respond(order_id)
            await queue.ack(delivery, make_ending())

    async def _respond(self, order_id: str) -> None:
        responses = FilesystemResponseStore(self.layout)
        await responses.commit(make_response(order_id=OrderId(order_id)))

    async def put_letter(
        self, letter: Letter, place: LetterPlace, *, has_receipt: bool = False
    ) -> None:
        outbox = FilesystemOutbox(self.layout, self.clock, self.incidents)
        await bring(outbox, letter, place, has_receipt=has_receipt)
        outbox.close()


class TestFilesystemInventory(InventoryContract):
    """Names of what a folder holds."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> FilesInventoryHarness:
        """Give an empty folder."""
        return FilesInventoryHarness(tmp_path)


@pytest.mark.anyio
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]"])
async def test_sent_letter_that_cannot_be_read_has_no_receipt(
    tmp_path: Path, content: bytes
) -> None:
    """Nobody can say that somebody has it."""
    harness = FilesInventoryHarness(tmp_path)
    await harness.put_letter(Letter(name="a", message="x"), LetterPlace.SENT, has_receipt=True)
    (harness.layout.outbox_archive / "a.json").write_bytes(content)
    found = await (await harness.open()).letters(["a"])
    assert list(found) == [LetterTrace(place=LetterPlace.SENT, has_receipt=False)]
