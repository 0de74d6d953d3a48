"""The contract of `ResponseStore`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import AlreadyAnswered, StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.testing.contracts.contract import Contract, nasty_texts, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.factories import make_response


class ResponseStoreContract(Contract):
    """Everything that a `ResponseStore` owes its callers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_store_has_stored_nothing(self, harness: Harness[ResponseStore]) -> None:
        """Whoever could not store an answer may give it again later, as a new one."""
        store = await harness.open()
        first = make_response(order_id="a", text="first")
        await store.commit(first)
        response = make_response(order_id="b")
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await store.commit(response)
        assert not await store.exists(response.order_id)
        await store.commit(response)
        assert await store.get(response.order_id) == response
        assert await store.get(first.order_id) == first

    async def test_first_response_stands(self, harness: Harness[ResponseStore]) -> None:
        """An order has one answer: a second one is refused and changes nothing."""
        store = await harness.open()
        first = make_response(order_id="a", text="first")
        await store.commit(first)
        for text in ("second", "first"):
            with pytest.raises(AlreadyAnswered):
                await store.commit(make_response(order_id="a", text=text))
        assert await store.get(OrderId("a")) == first

    async def test_one_of_many_at_once_stands(self, harness: Harness[ResponseStore]) -> None:
        """Workers that answer at the same moment do not mix their answers."""
        stores = [await harness.open()]
        if self.features.has_several_processes:
            stores.append(await harness.open())
        refused: list[str] = []
        accepted: list[str] = []

        async def commit(store: ResponseStore, text: str) -> None:
            try:
                await store.commit(make_response(order_id="a", text=text))
            except AlreadyAnswered:
                refused.append(text)
            else:
                accepted.append(text)

        async with anyio.create_task_group() as group:
            for number in range(8):
                store = stores[number % len(stores)]
                group.start_soon(commit, store, f"text {number}" * 1000, name="commit")
        assert (len(accepted), len(refused)) == (1, 7)
        found = await stores[0].get(OrderId("a"))
        assert found is not None
        assert found.text == accepted[0]

    async def test_order_without_response_has_none(self, harness: Harness[ResponseStore]) -> None:
        """Asking for what is not there is no error."""
        store = await harness.open()
        await store.commit(make_response(order_id="a"))
        assert await store.get(OrderId("a-2")) is None
        assert not await store.exists(OrderId("a-2"))

    @nasty_texts
    async def test_text_comes_back_whole(self, harness: Harness[ResponseStore], text: str) -> None:
        """What the agent said comes back character for character, whatever it holds."""
        store = await harness.open()
        await store.commit(make_response(order_id="a", text=text))
        found = await store.get(OrderId("a"))
        assert found is not None
        assert found.text == text

    @nasty_texts
    async def test_payload_comes_back_whole(
        self, harness: Harness[ResponseStore], text: str
    ) -> None:
        """What the person wrote comes back character for character, beside the answer."""
        store = await harness.open()
        response = make_response(order_id="a", payload=text, text="the answer")
        await store.commit(response)
        found = await store.get(OrderId("a"))
        assert found is not None
        assert (found.payload, found.text) == (text, "the answer")

    async def test_every_field_comes_back(self, harness: Harness[ResponseStore]) -> None:
        """Machine, times and the order's own timestamp are kept as they were."""
        store = await harness.open()
        response = make_response(
            order_id="Ordnung ä-1",
            machine="build server 2",
            finished_at=harness.now() + timedelta(microseconds=1),
            order_timestamp="2026-02-02T12:00:00+00:00",
        )
        await store.commit(response)
        assert await store.get(response.order_id) == response
        assert await store.exists(response.order_id)

    @requires("has_several_processes")
    async def test_other_process_sees_it(self, harness: Harness[ResponseStore]) -> None:
        """Who waits for the answer is not the one who writes it."""
        writer, reader = await harness.open(), await harness.open()
        response = make_response(order_id="a")
        await writer.commit(response)
        assert await reader.exists(OrderId("a"))
        assert await reader.get(OrderId("a")) == response

    @requires("survives_restart")
    async def test_response_survives_a_restart(self, harness: Harness[ResponseStore]) -> None:
        """The response is the commit record of the order's end."""
        store = await harness.open()
        response = make_response(order_id="a")
        await store.commit(response)
        await harness.restart()
        store = await harness.open()
        assert await store.get(OrderId("a")) == response
        with pytest.raises(AlreadyAnswered):
            await store.commit(response)
