"""Trouble: workers that die, hang and come back; what is called twice or too late."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import anyio
import pytest

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import LeaseLost
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import HELD, OrderState
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.order_queue.harness import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order


class LeaseContract(Contract):
    """Who holds an order, and who does not any more."""

    @requires("has_takeover")
    async def test_order_of_a_dead_worker_is_given_out_again(self, harness: QueueHarness) -> None:
        """No order is forgotten: what a killed worker held comes back, with its attempt counted."""
        first = await harness.open("first")
        await first.enqueue(make_order(id="a"))
        lost = await harness.claim(first)
        await harness.kill(first)
        second = await harness.open("second")
        again = await harness.claim_in_time(second)
        assert again.order == lost.order
        assert (lost.attempt, again.attempt) == (1, 2)
        assert again.token != lost.token

    @requires("has_takeover")
    async def test_attempts_count_every_death(self, harness: QueueHarness) -> None:
        """An order that kills its workers is noticed by its attempts, which are no failures."""
        first = await harness.open("worker-0")
        await first.enqueue(make_order())
        await harness.claim(first)
        await harness.kill(first)
        for number in range(2, 5):
            worker = await harness.open(f"worker-{number}")
            taken = await harness.claim_in_time(worker)
            assert (taken.attempt, taken.failures) == (number, 0)
            await harness.kill(worker)

    @requires("has_takeover", "has_several_workers")
    @pytest.mark.parametrize("call", ["renew", "ack", "nack", "dead_letter"])
    async def test_frozen_worker_has_lost_its_order(self, harness: QueueHarness, call: str) -> None:
        """A worker that slept through its lease is told so by every call, and changes nothing."""
        sleeper, other = await harness.open("sleeper"), await harness.open("other")
        await sleeper.enqueue(make_order(id="a"))
        lost = await harness.claim(sleeper)
        await harness.freeze(sleeper)
        await harness.elapse(harness.lease * 2)
        taken = await harness.claim_in_time(other)
        assert taken.attempt == 2
        await harness.thaw(sleeper)
        with pytest.raises(LeaseLost):
            await _call(sleeper, call, lost)
        await other.renew(taken)
        await other.ack(taken, make_ending(acknowledged_by="other", attempts=2))
        view = await (await harness.catalogue()).get(lost.order.id)
        assert view is not None
        assert view.ending is not None
        assert view.ending.acknowledged_by == "other"
        with pytest.raises(LeaseLost):
            await _call(sleeper, call, lost)

    @requires("has_takeover", "has_several_workers")
    async def test_worker_that_renews_keeps_its_order(self, harness: QueueHarness) -> None:
        """However long a run takes, nobody takes it over while its worker says that it lives."""
        busy, other = await harness.open("busy"), await harness.open("other")
        await busy.enqueue(make_order())
        delivery = await harness.claim(busy)
        for _ in range(4):
            await harness.elapse_alive(harness.lease, busy, delivery)
            assert await other.claim() is None
        await busy.ack(delivery, make_ending())

    @requires("has_takeover", "has_several_workers")
    async def test_death_of_one_worker_leaves_the_others_alone(self, harness: QueueHarness) -> None:
        """Only what the dead worker held is taken over."""
        dying, living = await harness.open("dying"), await harness.open("living")
        await dying.enqueue(make_order(id="a"))
        await dying.enqueue(make_order(id="b"))
        await harness.claim(dying)
        kept = await harness.claim(living)
        await harness.kill(dying)
        third = await harness.open("third")
        taken = await harness.claim_in_time(third)
        assert taken.order.id == "a"
        await living.ack(kept, make_ending())
        assert await third.claim() is None

    async def test_ack_twice_is_one_end(self, harness: QueueHarness) -> None:
        """A worker that did not hear the answer to its ack may ask again."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        delivery = await harness.claim(queue)
        await queue.ack(delivery, make_ending(acknowledged_by="first call"))
        await queue.ack(delivery, make_ending(acknowledged_by="second call"))
        view = await (await harness.catalogue()).get(delivery.order.id)
        assert view is not None
        assert view.ending is not None
        assert view.ending.acknowledged_by == "first call"
        assert await queue.claim() is None

    async def test_dead_letter_twice_is_one_end(self, harness: QueueHarness) -> None:
        """Dead-lettering is as safe twice as ack."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        delivery = await harness.claim(queue)
        ending = make_ending(outcome=Outcome.DEAD, reason="it never works")
        await queue.dead_letter(delivery, ending)
        await queue.dead_letter(delivery, ending)
        assert await (await harness.catalogue()).count() == {OrderState.DEAD: 1}

    @pytest.mark.parametrize("call", ["renew", "ack", "nack", "dead_letter"])
    async def test_order_given_back_is_not_held(self, harness: QueueHarness, call: str) -> None:
        """Who gave an order back has no say in it any more, also before anybody else claims it."""
        queue = await harness.open()
        await queue.enqueue(make_order())
        delivery = await harness.claim(queue)
        await queue.nack(delivery)
        with pytest.raises(LeaseLost):
            await _call(queue, call, delivery)
        assert (await harness.claim(queue)).attempt == 2

    @pytest.mark.parametrize("call", ["renew", "nack"])
    async def test_order_that_ended_is_not_held(self, harness: QueueHarness, call: str) -> None:
        """An order that ended cannot be brought back by its last worker."""
        queue = await harness.open()
        await queue.enqueue(make_order())
        delivery = await harness.claim(queue)
        await queue.ack(delivery, make_ending())
        with pytest.raises(LeaseLost):
            await _call(queue, call, delivery)
        assert await queue.claim() is None

    async def test_old_delivery_of_the_same_worker_is_refused(self, harness: QueueHarness) -> None:
        """The token fences claims, not workers: an earlier claim of one's own is stale too."""
        queue = await harness.open()
        await queue.enqueue(make_order())
        old = await harness.claim(queue)
        await queue.nack(old)
        new = await harness.claim(queue)
        with pytest.raises(LeaseLost):
            await queue.ack(old, make_ending())
        await queue.ack(new, make_ending())

    async def test_concurrent_claims_give_every_order_once(self, harness: QueueHarness) -> None:
        """Tasks of one worker that claim at the same time never get the same order."""
        queue = await harness.open()
        await self._claim_all([queue] * 8, orders=40)

    @requires("has_several_workers")
    async def test_workers_that_race_get_every_order_once(self, harness: QueueHarness) -> None:
        """Workers that claim at the same time never get the same order."""
        queues = [await harness.open(f"racer-{number}") for number in range(4)]
        await self._claim_all(queues * 2, orders=40)

    async def _claim_all(self, queues: list[OrderQueue], *, orders: int) -> None:
        expected = [make_order() for _ in range(orders)]
        for order in expected:
            await queues[0].enqueue(order)
        got: list[Delivery] = []

        async def claim_until_empty(queue: OrderQueue) -> None:
            while (delivery := await queue.claim()) is not None:
                got.append(delivery)

        async with anyio.create_task_group() as group:
            for queue in queues:
                group.start_soon(claim_until_empty, queue, name="claims")
        # A claim may come away empty when it lost every race; what is left is still there.
        await claim_until_empty(queues[0])
        assert Counter(d.order.id for d in got) == Counter(order.id for order in expected)
        assert len({delivery.token for delivery in got}) == orders
        assert {delivery.attempt for delivery in got} == {1}

    @requires("survives_restart")
    async def test_waiting_orders_survive_a_restart(self, harness: QueueHarness) -> None:
        """Accepted means durable: what waited waits again, in its order."""
        queue = await harness.open("before")
        for number in range(3):
            await queue.enqueue(make_order(id=f"order-{number}", session="talk"))
        await harness.restart()
        queue = await harness.open("after")
        for number in range(3):
            delivery = await harness.claim_in_time(queue)
            assert delivery.order.id == f"order-{number}"
            assert delivery.attempt == 1
            await queue.ack(delivery, make_ending())

    @requires("survives_restart", "has_takeover")
    async def test_held_orders_survive_a_restart(self, harness: QueueHarness) -> None:
        """What was being worked on when everything stopped is given out again, and counted."""
        queue = await harness.open("before")
        await queue.enqueue(make_order(id="a"))
        await harness.claim(queue)
        await harness.restart()
        queue = await harness.open("after")
        again = await harness.claim_in_time(queue)
        assert (again.order.id, again.attempt) == ("a", 2)

    @requires("survives_restart")
    async def test_ended_orders_stay_ended_after_a_restart(self, harness: QueueHarness) -> None:
        """What was acked is never given out again."""
        queue = await harness.open("before")
        order = make_order(id="a", idempotency_key="key")
        await queue.enqueue(order)
        await queue.ack(await harness.claim(queue), make_ending())
        await harness.restart()
        queue = await harness.open("after")
        await harness.elapse(harness.lease * 2)
        assert await queue.claim() is None
        assert not (await queue.enqueue(order)).is_new

    @requires("survives_restart")
    async def test_delay_and_attempts_survive_a_restart(self, harness: QueueHarness) -> None:
        """A restart is no way around a delay, nor around the attempt limit."""
        queue = await harness.open("before")
        await queue.enqueue(make_order(id="a"))
        await queue.nack(await harness.claim(queue), delay=harness.lease * 10)
        await harness.restart()
        queue = await harness.open("after")
        assert await queue.claim() is None
        await harness.elapse(harness.lease * 10 + harness.tick)
        taken = await harness.claim_in_time(queue)
        assert (taken.attempt, taken.failures) == (2, 1)

    @requires("has_takeover")
    async def test_failures_survive_a_death(self, harness: QueueHarness) -> None:
        """What failed goes on counting for the next wait after a worker died in between."""
        first = await harness.open("first")
        await first.enqueue(make_order())
        await first.nack(await harness.claim(first))
        await harness.claim(first)
        await harness.kill(first)
        second = await harness.open("second")
        taken = await harness.claim_in_time(second)
        assert (taken.attempt, taken.failures) == (3, 1)

    async def test_held_order_shows_as_held(self, harness: QueueHarness) -> None:
        """People see which orders are in a worker's hands."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a"))
        delivery = await harness.claim(queue)
        view = await (await harness.catalogue()).get(delivery.order.id)
        assert view is not None
        assert view.state in HELD
        assert (view.attempts, view.place, view.ending) == (1, None, None)


async def _call(queue: OrderQueue, name: str, delivery: Delivery) -> None:
    match name:
        case "renew":
            await queue.renew(delivery)
        case "ack":
            await queue.ack(delivery, make_ending(acknowledged_by="too late"))
        case "dead_letter":
            await queue.dead_letter(delivery, make_ending(outcome=Outcome.DEAD))
        case _:
            await queue.nack(delivery, delay=timedelta(0))
