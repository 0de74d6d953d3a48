"""The contract of `Inventory`, in memory and on files."""

# ruff: noqa: D102 - the suites and ports say what these are

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from galaxy_adapters.inventory_filesystem import FilesystemInventory
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_adapters.responses_filesystem import FilesystemResponseStore
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter
from galaxy_core.ports.inventory import Inventory, LetterPlace
from galaxy_core.ports.outbox import Outbox
from galaxy_core.testing import InventoryContract, InventoryHarness
from galaxy_core.testing.factories import make_ending, make_order, make_receipt, make_response
from galaxy_core.testing.memory import (
    LetterBox,
    ManualClock,
    MemoryIncidentSink,
    MemoryInventory,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
    MemoryOutbox,
    MemoryResponseStore,
)
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio


async def bring(outbox: Outbox, letter: Letter, place: LetterPlace) -> None:
    """Post a letter and bring it to its place."""
    await outbox.post(letter)
    if place is LetterPlace.SENT:
        await outbox.mark_sent(await outbox.record(letter, make_receipt()))
    elif place is LetterPlace.UNDELIVERABLE:
        await outbox.set_aside(letter, "nobody is there")


class MemoryHarness(InventoryHarness):
    """Everything in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.orders = MemoryOrders(self.clock, machine="test")
        self.responses = MemoryResponseStore()
        self.box = LetterBox()

    async def open(self) -> Inventory:
        return MemoryInventory(MemoryOrderCatalogue(self.orders), self.responses, self.box)

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def wait_order(self, order_id: str) -> None:
        queue = MemoryOrderQueue(self.orders, "one")
        await queue.enqueue(make_order(id=OrderId(order_id)))

    async def end_order(self, order_id: str) -> None:
        await self.wait_order(order_id)
        queue = MemoryOrderQueue(self.orders, "one")
        delivery = await queue.claim()
        assert delivery is not None
        await self.responses.commit(make_response(order_id=OrderId(order_id)))
        await queue.ack(delivery, make_ending())

    async def put_letter(self, letter: Letter, place: LetterPlace) -> None:
        await bring(MemoryOutbox(self.clock, self.box), letter, place)


class FilesHarness(InventoryHarness):
    """A folder, written by the adapters that write it in life."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.layout = Layout(folder)
        self.incidents = MemoryIncidentSink()

    async def open(self) -> Inventory:
        return FilesystemInventory(self.layout)

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def _queue(self, order_id: str, *, is_ended: bool) -> None:
        queue = FilesystemOrderQueue(
            self.layout, machine="test", clock=self.clock, incidents=self.incidents
        )
        async with queue:
            await queue.enqueue(evolve(make_order(), id=OrderId(order_id)))
            if is_ended:
                delivery = await queue.claim(only=OrderId(order_id))
                assert delivery is not None
                responses = FilesystemResponseStore(self.layout)
                await responses.commit(make_response(order_id=OrderId(order_id)))
                await queue.ack(delivery, make_ending())

    async def wait_order(self, order_id: str) -> None:
        await self._queue(order_id, is_ended=False)

    async def end_order(self, order_id: str) -> None:
        await self._queue(order_id, is_ended=True)

    async def put_letter(self, letter: Letter, place: LetterPlace) -> None:
        outbox = FilesystemOutbox(self.layout, self.clock, self.incidents)
        await bring(outbox, letter, place)
        outbox.close()


class TestMemoryInventory(InventoryContract):
    """In memory."""

    @pytest.fixture
    def harness(self) -> InventoryHarness:
        """Give empty stores."""
        return MemoryHarness()


class TestFilesystemInventory(InventoryContract):
    """On files."""

    @pytest.fixture
    def harness(self, tmp_path: Path) -> InventoryHarness:
        """Give an empty folder."""
        return FilesHarness(tmp_path)
