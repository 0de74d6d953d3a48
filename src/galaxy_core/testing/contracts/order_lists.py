"""What `OrderCatalogue` owes those who look at many orders, or again and again."""

from __future__ import annotations

from datetime import timedelta

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.state import HELD, OrderState
from galaxy_core.testing.contracts.contract import Contract
from galaxy_core.testing.contracts.order_queue import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order


class OrderLists(Contract):
    """Newest first or oldest first, at a cost that does not grow with what waits."""

    async def test_list_is_newest_first(self, harness: QueueHarness) -> None:
        """Orders that wait stand by arrival, those that have ended by their end."""
        catalogue = await harness.catalogue()
        await _first_two_end(harness, "abcd")
        waiting = await catalogue.list(states=frozenset({OrderState.PENDING}))
        assert [view.order.id for view in waiting] == ["d", "c"]
        ended = await catalogue.list(states=frozenset({OrderState.SUCCEEDED}))
        assert [view.order.id for view in ended] == ["a", "b"]
        assert {view.order.id for view in await catalogue.list()} == set("abcd")

    async def test_list_is_limited_to_the_newest(self, harness: QueueHarness) -> None:
        """A limit keeps the newest; None means all of them."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        for number in range(60):
            await queue.enqueue(make_order(id=f"o{number}"))
        assert [view.order.id for view in await catalogue.list(limit=2)] == ["o59", "o58"]
        assert len(await catalogue.list()) == 50
        assert len(await catalogue.list(limit=None)) == 60

    async def test_list_can_begin_with_the_oldest(self, harness: QueueHarness) -> None:
        """Who asks for the oldest gets them in the order in which they came, or ended."""
        catalogue = await harness.catalogue()
        await _first_two_end(harness, "abcde")
        waiting = frozenset({OrderState.PENDING})
        listed = await catalogue.list(states=waiting, oldest_first=True)
        assert [view.order.id for view in listed] == ["c", "d", "e"]
        listed = await catalogue.list(states=waiting, limit=2, oldest_first=True)
        assert [view.order.id for view in listed] == ["c", "d"]
        ended = frozenset({OrderState.SUCCEEDED})
        listed = await catalogue.list(states=ended, limit=1, oldest_first=True)
        assert [view.order.id for view in listed] == ["b"]
        listed = await catalogue.list(limit=None, oldest_first=True)
        assert {view.order.id for view in listed} == set("abcde")

    async def test_unfinished_orders_come_in_pieces(self, harness: QueueHarness) -> None:
        """All that wait, for whatever, then those that run; none that has ended."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        assert [view async for views in catalogue.unfinished() for view in views] == []
        for order_id in "abcd":
            await queue.enqueue(make_order(id=order_id))
        tomorrow = harness.now() + timedelta(days=1)
        await queue.enqueue(make_order(id="later", not_before=tomorrow))
        await queue.ack(await harness.claim(queue), make_ending())
        await queue.nack(await harness.claim(queue), delay=timedelta(hours=1))
        assert (await harness.claim(queue)).order.id == "c"
        found = [view async for views in catalogue.unfinished() for view in views]
        assert sorted(view.order.id for view in found[:-1]) == ["b", "d", "later"]
        assert {view.state for view in found[:-1]} == {OrderState.PENDING}
        assert (found[-1].order.id, found[-1].state in HELD) == ("c", True)

    async def test_enqueued_order_is_found_without_a_search(self, harness: QueueHarness) -> None:
        """Wherever it is on its way, one that was enqueued is known by its id; no other one is."""
        queue, catalogue = await harness.open(), await harness.catalogue()

        async def state(order_id: str = "a") -> OrderState | None:
            view = await catalogue.get(OrderId(order_id), only_enqueued=True)
            return None if view is None else view.state

        await queue.enqueue(make_order(id="a"))
        assert await state() is OrderState.PENDING
        delivery = await harness.claim(queue)
        assert await state() in HELD
        await queue.nack(delivery)
        assert await state() is OrderState.PENDING
        await queue.ack(await harness.claim(queue), make_ending())
        assert await state() is OrderState.SUCCEEDED
        assert await state("unknown") is None


async def _first_two_end(harness: QueueHarness, ids: str) -> None:
    """Orders come in one after the other; the second ends, then the first."""
    queue = await harness.open()
    for order_id in ids:
        await queue.enqueue(make_order(id=order_id))
        await harness.elapse(harness.tick)
    a, b = await harness.claim(queue), await harness.claim(queue)
    for delivery in (b, a):
        await queue.ack(delivery, make_ending(finished_at=harness.now()))
        await harness.elapse(harness.tick)
