"""Waiting for work: never through a chance."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract, requires
from galaxy_core.testing.contracts.order_queue.harness import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order


class WaitContract(Contract):
    """What `wait` wakes up for."""

    async def test_waiting_order_wakes_at_once(self, harness: QueueHarness) -> None:
        """What came in before the worker began to wait is not slept through."""
        queue = await harness.open()
        await queue.enqueue(make_order())
        with anyio.fail_after(PROMPT_SECONDS):
            assert await queue.wait(timedelta(days=1))
            # It is the order that wakes, not the news of it.
            assert await queue.wait(timedelta(days=1))

    async def test_nothing_to_do_lets_the_time_pass(self, harness: QueueHarness) -> None:
        """Without work `wait` ends after its time, and says that it found nothing."""
        queue = await harness.open()
        async with anyio.create_task_group() as group:
            timed_out = anyio.Event()

            async def wait() -> None:
                while await queue.wait(harness.tick * 5):
                    pass
                timed_out.set()

            group.start_soon(wait, name="wait")
            for _ in range(10):
                if not timed_out.is_set():
                    await harness.elapse(harness.tick * 6)
            with anyio.fail_after(PROMPT_SECONDS):
                await timed_out.wait()

    async def test_new_order_wakes(self, harness: QueueHarness) -> None:
        """An order is picked up when it comes in, not at the next look."""
        queue = await harness.open()
        async with _expecting(harness, queue, "a"):
            await queue.enqueue(make_order(id="a"))

    @requires("has_several_workers")
    async def test_order_from_another_process_wakes(self, harness: QueueHarness) -> None:
        """The gateway enqueues in a process of its own."""
        queue, gateway = await harness.open("hermes"), await harness.open("gateway")
        async with _expecting(harness, queue, "a"):
            await gateway.enqueue(make_order(id="a"))

    async def test_order_whose_time_comes_wakes(self, harness: QueueHarness) -> None:
        """A scheduled order is picked up when it is due."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", not_before=harness.now() + harness.tick * 10))
        async with _expecting(harness, queue, "a"):
            await harness.elapse(harness.tick * 11)

    async def test_end_of_a_delay_wakes(self, harness: QueueHarness) -> None:
        """An order that is to be tried again is picked up when its delay is over."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        await queue.nack(await harness.claim(queue), delay=harness.tick * 10)
        async with _expecting(harness, queue, "a"):
            await harness.elapse(harness.tick * 11)

    async def test_order_given_back_wakes(self, harness: QueueHarness) -> None:
        """Giving an order back is news for whoever waits."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        delivery = await harness.claim(queue)
        async with _expecting(harness, queue, "a"):
            await queue.nack(delivery)

    async def test_conversation_that_becomes_free_wakes(self, harness: QueueHarness) -> None:
        """The next message of a conversation starts when the one before it has ended."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", session="talk"))
        await queue.enqueue(make_order(id="b", session="talk"))
        delivery = await harness.claim(queue)
        async with _expecting(harness, queue, "b"):
            await queue.ack(delivery, make_ending())

    @requires("has_several_workers")
    async def test_conversation_freed_by_another_worker_wakes(self, harness: QueueHarness) -> None:
        """A conversation moves on at once, whichever worker has the next turn."""
        queue, other = await harness.open("waits"), await harness.open("works")
        await queue.enqueue(make_order(id="a", session="talk"))
        await queue.enqueue(make_order(id="b", session="talk"))
        delivery = await harness.claim(other)
        async with _expecting(harness, queue, "b"):
            await other.ack(delivery, make_ending())

    async def test_end_of_an_earlier_order_wakes(self, harness: QueueHarness) -> None:
        """A plan's next step starts when the steps before it have ended."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        await queue.enqueue(make_order(id="b", after=(OrderId("a"),)))
        delivery = await harness.claim(queue)
        async with _expecting(harness, queue, "b"):
            await queue.ack(delivery, make_ending())

    async def test_cancelled_order_wakes(self, harness: QueueHarness) -> None:
        """An order that a person wants cancelled is answered now, not when it would have run."""
        queue = await harness.open()
        tomorrow = harness.now() + timedelta(days=1)
        await queue.enqueue(make_order(id="a", not_before=tomorrow))
        catalogue = await harness.catalogue()
        async with _expecting(harness, queue, "a"):
            await catalogue.cancel(OrderId("a"))

    @requires("has_takeover", "has_several_workers")
    async def test_death_of_a_worker_wakes(self, harness: QueueHarness) -> None:
        """A dead worker's order is picked up by those who wait, at the latest after its lease."""
        queue, other = await harness.open("waits"), await harness.open("dies")
        await queue.enqueue(make_order(id="a"))
        await harness.claim(other)
        async with _expecting(harness, queue, "a"):
            await harness.kill(other)
            await harness.elapse(harness.lease * 2)

    @requires("has_takeover", "has_several_workers")
    async def test_silence_of_a_worker_wakes(self, harness: QueueHarness) -> None:
        """A frozen worker's order is picked up by those who wait, without any other news."""
        queue, other = await harness.open("waits"), await harness.open("freezes")
        await queue.enqueue(make_order(id="a"))
        await harness.claim(other)
        async with _expecting(harness, queue, "a"):
            await harness.freeze(other)
            await harness.elapse(harness.lease * 3)


@asynccontextmanager
async def _expecting(
    harness: QueueHarness, queue: OrderQueue, order_id: str
) -> AsyncIterator[None]:
    """Wait for the order as Hermes does while the block makes it available."""
    got: list[Delivery] = []
    async with anyio.create_task_group() as group:

        async def work() -> None:
            got.append(await harness.next(queue))

        group.start_soon(work, name="hermes")
        await settle()
        assert not got, "it could be claimed before anything had happened"
        yield
    assert [delivery.order.id for delivery in got] == [order_id]
