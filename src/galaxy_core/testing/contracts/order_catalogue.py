"""The contract of `OrderCatalogue`, over the same harness as the queue's."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import OrderNotFound, OrderNotRetryable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import CancelRequested
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending, Outcome, Usage
from galaxy_core.domain.state import HELD, OrderState
from galaxy_core.ports.order_catalogue import CancelResult, OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.contract import requires
from galaxy_core.testing.contracts.order_decisions import OrderDecisions
from galaxy_core.testing.contracts.order_lists import OrderLists
from galaxy_core.testing.contracts.order_queue import QueueFeatures, QueueHarness
from galaxy_core.testing.factories import make_ending, make_order

UNKNOWN = OrderId("never-heard-of")
FAILURES = [Outcome.FAILED, Outcome.CANCELLED, Outcome.EXPIRED, Outcome.DEAD]


class OrderCatalogueContract(OrderDecisions, OrderLists):
    """Everything that an `OrderCatalogue` owes people."""

    features: ClassVar[QueueFeatures] = QueueFeatures()

    # ---- cancelling

    async def test_unknown_order_cannot_be_cancelled(self, harness: QueueHarness) -> None:
        """A misspelt id is said so, not swallowed."""
        await harness.open()
        with pytest.raises(OrderNotFound):
            await (await harness.catalogue()).cancel(UNKNOWN)

    async def test_ended_order_cannot_be_cancelled(self, harness: QueueHarness) -> None:
        """What is over stays as it is."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(harness, queue, Outcome.SUCCEEDED)
        assert await catalogue.cancel(order.id) is CancelResult.ALREADY_ENDED
        assert await queue.claim() is None

    async def test_cancelled_order_is_given_out_at_once(self, harness: QueueHarness) -> None:
        """Whatever it waits for - its conversation, its time, other orders - it is ended now."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="head", session="talk"))
        head = await harness.claim(queue)
        await queue.enqueue(make_order(id="behind", session="talk"))
        tomorrow = harness.now() + timedelta(days=1)
        await queue.enqueue(make_order(id="later", not_before=tomorrow))
        await queue.enqueue(make_order(id="after", after=(OrderId("head"),)))
        assert await queue.claim() is None
        for order_id in ("behind", "later", "after"):
            assert await catalogue.cancel(OrderId(order_id)) is CancelResult.REQUESTED
            delivery = await harness.claim(queue)
            assert delivery.order.id == order_id
            await queue.ack(delivery, make_ending(outcome=Outcome.CANCELLED))
        await queue.ack(head, make_ending())

    async def test_cancelled_order_does_not_wait_for_its_retry(self, harness: QueueHarness) -> None:
        """An order that waits to be tried again can be cancelled in the meantime."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        await queue.nack(await harness.claim(queue), delay=timedelta(hours=1))
        await catalogue.cancel(OrderId("a"))
        assert (await harness.claim(queue)).order.id == "a"

    async def test_delay_after_the_cancellation_is_obeyed(self, harness: QueueHarness) -> None:
        """A worker that cannot store the answer now gives the order back and does not spin."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        await catalogue.cancel(OrderId("a"))
        await queue.nack(await harness.claim(queue), delay=harness.tick * 10)
        assert await queue.claim() is None
        await harness.elapse(harness.tick * 11)
        assert (await harness.claim(queue)).order.id == "a"

    @requires("has_other_machines")
    async def test_cancelled_order_of_another_machine_is_given_out(
        self, harness: QueueHarness
    ) -> None:
        """Who cancels need not know which Hermes serves the order."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a", target=harness.other_machine))
        assert await queue.claim() is None
        await catalogue.cancel(OrderId("a"))
        assert (await harness.claim(queue)).order.id == "a"

    async def test_cancelling_a_held_order_takes_it_from_nobody(
        self, harness: QueueHarness
    ) -> None:
        """The worker that runs it ends it; nobody else gets it."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        delivery = await harness.claim(queue)
        assert await catalogue.cancel(OrderId("a")) is CancelResult.REQUESTED
        assert await queue.claim() is None
        await queue.renew(delivery)
        await queue.ack(delivery, make_ending(outcome=Outcome.CANCELLED))
        view = await catalogue.get(OrderId("a"))
        assert view is not None
        assert view.state is OrderState.CANCELLED

    async def test_cancelling_twice_is_cancelling(self, harness: QueueHarness) -> None:
        """A person who presses the button again does no harm."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        await catalogue.cancel(OrderId("a"))
        assert await catalogue.cancel(OrderId("a")) is CancelResult.REQUESTED
        delivery = await harness.claim(queue)
        assert await queue.claim() is None
        await queue.ack(delivery, make_ending(outcome=Outcome.CANCELLED))
        assert await queue.claim() is None

    @requires("survives_restart")
    async def test_cancellation_survives_a_restart(self, harness: QueueHarness) -> None:
        """Durable when it returns: nobody has to ask again."""
        queue, catalogue = await harness.open("before"), await harness.catalogue()
        tomorrow = harness.now() + timedelta(days=1)
        await queue.enqueue(make_order(id="a", not_before=tomorrow))
        await catalogue.cancel(OrderId("a"))
        await harness.restart()
        assert (await harness.claim(await harness.open("after"))).order.id == "a"

    @requires("cancels_through_control")
    async def test_cancellation_reaches_the_worker(self, harness: QueueHarness) -> None:
        """Whoever holds or claims the order finds out by whom it was cancelled, and why."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        await catalogue.cancel(OrderId("a"), by="ann", reason="a typing error")
        commands = await (await harness.control()).pending(OrderId("a"))
        assert [
            (command.order_id, command.by, command.reason)
            for command in commands
            if isinstance(command, CancelRequested)
        ] == [("a", "ann", "a typing error")]

    # ---- trying again

    async def test_unknown_order_cannot_be_retried(self, harness: QueueHarness) -> None:
        """A misspelt id is said so, not swallowed."""
        await harness.open()
        with pytest.raises(OrderNotFound):
            await (await harness.catalogue()).retry(UNKNOWN)

    async def test_order_that_has_not_ended_cannot_be_retried(self, harness: QueueHarness) -> None:
        """Waiting or running: it will have its answer."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        with pytest.raises(OrderNotRetryable):
            await catalogue.retry(OrderId("a"))
        await harness.claim(queue)
        with pytest.raises(OrderNotRetryable):
            await catalogue.retry(OrderId("a"))

    async def test_order_that_succeeded_cannot_be_retried(self, harness: QueueHarness) -> None:
        """What is done is not done twice."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(harness, queue, Outcome.SUCCEEDED)
        with pytest.raises(OrderNotRetryable):
            await catalogue.retry(order.id)

    @pytest.mark.parametrize("outcome", FAILURES)
    async def test_retry_is_a_new_order(self, harness: QueueHarness, outcome: Outcome) -> None:
        """The old order keeps its answer; the new one runs as if it had just come in."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(
            harness,
            queue,
            outcome,
            order=make_order(
                payload="again", wire={"colour": "blue"}, idempotency_key="update-7", chat_id="1"
            ),
        )
        new_id = await catalogue.retry(order.id)
        assert new_id != order.id
        delivery = await harness.claim(queue)
        assert (delivery.order.id, delivery.attempt) == (new_id, 1)
        kept = evolve(order, id=new_id, idempotency_key=delivery.order.idempotency_key)
        assert delivery.order == kept
        assert delivery.order.wire["colour"] == "blue"
        old = await catalogue.get(order.id)
        assert old is not None
        assert old.state is outcome.state

    async def test_retry_twice_is_one_new_order(self, harness: QueueHarness) -> None:
        """A person who presses the button again gets the same order, also after it has ended."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(harness, queue, Outcome.FAILED)
        new_id = await catalogue.retry(order.id)
        assert await catalogue.retry(order.id) == new_id
        await queue.ack(await harness.claim(queue), make_ending())
        assert await catalogue.retry(order.id) == new_id
        assert await queue.claim() is None

    async def test_concurrent_retries_are_one_new_order(self, harness: QueueHarness) -> None:
        """Two people who retry at once retry once."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(harness, queue, Outcome.DEAD)
        ids: list[str] = []

        async def retry() -> None:
            ids.append(await catalogue.retry(order.id))

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(retry, name="retry")
        assert len(set(ids)) == 1
        await harness.claim(queue)
        assert await queue.claim() is None

    async def test_retry_of_a_retry_is_a_third_order(self, harness: QueueHarness) -> None:
        """Each failure can be tried again once."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        first = await _ended(harness, queue, Outcome.FAILED)
        second = await catalogue.retry(first.id)
        await queue.ack(await harness.claim(queue), make_ending(outcome=Outcome.FAILED))
        third = await catalogue.retry(second)
        assert len({first.id, second, third}) == 3
        assert (await harness.claim(queue)).order.id == third

    async def test_retry_of_an_expired_order_can_run(self, harness: QueueHarness) -> None:
        """The time by which the first one was wanted does not end the second at once."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        order = await _ended(
            harness,
            queue,
            Outcome.EXPIRED,
            order=make_order(expires_at=harness.now() - timedelta(days=1)),
        )
        await catalogue.retry(order.id)
        assert (await harness.claim(queue)).order.expires_at is None

    @requires("survives_restart")
    async def test_successor_is_remembered_over_a_restart(self, harness: QueueHarness) -> None:
        """Retrying stays idempotent when everything was started anew."""
        queue, catalogue = await harness.open("before"), await harness.catalogue()
        order = await _ended(harness, queue, Outcome.FAILED)
        new_id = await catalogue.retry(order.id)
        await harness.restart()
        queue, catalogue = await harness.open("after"), await harness.catalogue()
        assert await catalogue.retry(order.id) == new_id
        assert (await harness.claim_in_time(queue)).order.id == new_id
        assert await queue.claim() is None

    # ---- looking

    async def test_unknown_order_is_none(self, harness: QueueHarness) -> None:
        """Asking for what is not there is no error."""
        await harness.open()
        assert await (await harness.catalogue()).get(UNKNOWN) is None

    @pytest.mark.parametrize("bad_id", ["../secret", "a/b", "", ".", "a\0b", "x" * 300])
    async def test_id_that_is_no_id_is_unknown(self, harness: QueueHarness, bad_id: str) -> None:
        """An id from outside never leaves the folder, and never breaks the caller."""
        await harness.open()
        catalogue = await harness.catalogue()
        assert await catalogue.get(OrderId(bad_id)) is None
        with pytest.raises(OrderNotFound):
            await catalogue.cancel(OrderId(bad_id))
        with pytest.raises(OrderNotFound):
            await catalogue.retry(OrderId(bad_id))

    async def test_empty_queue_has_nothing(self, harness: QueueHarness) -> None:
        """An empty catalogue is empty, not an error."""
        await harness.open()
        catalogue = await harness.catalogue()
        assert list(await catalogue.list()) == []
        assert await catalogue.count() == {}

    async def test_waiting_order_shows_its_place(self, harness: QueueHarness) -> None:
        """People see how many are before them in their conversation."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        for order_id in "abc":
            await queue.enqueue(make_order(id=order_id, session="talk"))
        await queue.enqueue(make_order(id="alone"))
        await harness.claim(queue)
        places = {}
        for order_id in ("a", "b", "c", "alone"):
            view = await catalogue.get(OrderId(order_id))
            assert view is not None
            places[order_id] = view.place
        assert places == {"a": None, "b": 1, "c": 2, "alone": 1}

    async def test_order_that_was_given_back_shows_attempts_and_delay(
        self, harness: QueueHarness
    ) -> None:
        """People see that an order was tried, and when it will be tried again."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id="a"))
        await queue.nack(await harness.claim(queue), delay=timedelta(minutes=5))
        view = await catalogue.get(OrderId("a"))
        assert view is not None
        assert (view.state, view.attempts, view.place) == (OrderState.PENDING, 1, 1)
        assert view.waits_until is not None
        due_in = view.waits_until - harness.now()
        assert timedelta(minutes=4) < due_in <= timedelta(minutes=5, seconds=1)

    async def test_ending_comes_back_as_it_was_given(self, harness: QueueHarness) -> None:
        """The archive keeps how an order ended, cost and tokens included."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        ending = Ending(
            outcome=Outcome.FAILED,
            finished_at=harness.now(),
            acknowledged_by="Hermes (test)",
            attempts=2,
            started_at=harness.now() - timedelta(seconds=3),
            session_id="ses_1",
            usage=Usage(input_tokens=10, output_tokens=20, cost_usd=0.25),
            reason="The provider said no.",
            may_have_run_twice=True,
            is_demo=True,
        )
        await queue.enqueue(make_order(id="a"))
        await queue.ack(await harness.claim(queue), ending)
        view = await catalogue.get(OrderId("a"))
        assert view is not None
        assert (view.ending, view.state) == (ending, OrderState.FAILED)
        assert (view.place, view.waits_until) == (None, None)

    async def test_states_are_counted(self, harness: QueueHarness) -> None:
        """One number per state; what nobody is in is left out."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await _ended(harness, queue, Outcome.SUCCEEDED)
        await _ended(harness, queue, Outcome.EXPIRED)
        await queue.enqueue(make_order())
        await queue.enqueue(make_order())
        await harness.claim(queue)
        counts = await catalogue.count()
        held = sum(counts.pop(state, 0) for state in HELD)
        assert held == 1
        assert counts == {
            OrderState.PENDING: 1,
            OrderState.SUCCEEDED: 1,
            OrderState.EXPIRED: 1,
        }
        live = await catalogue.count(states=frozenset({OrderState.PENDING, *HELD}))
        assert sum(live.values()) == 2
        assert live[OrderState.PENDING] == 1
        ended = await catalogue.count(states=frozenset({OrderState.EXPIRED, OrderState.DEAD}))
        assert ended == {OrderState.EXPIRED: 1}

    async def test_dead_letters_stay_listed(self, harness: QueueHarness) -> None:
        """What a person has to look at stays in sight, whatever happens after it."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        dead = await _ended(harness, queue, Outcome.DEAD)
        for _ in range(3):
            await _ended(harness, queue, Outcome.SUCCEEDED)
        await harness.elapse(harness.lease * 10)
        listed = await catalogue.list(states=frozenset({OrderState.DEAD}))
        assert [view.order.id for view in listed] == [dead.id]

    async def test_looking_disturbs_nothing(self, harness: QueueHarness) -> None:
        """Reads neither hold an order nor move it."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        for order_id in "ab":
            await queue.enqueue(make_order(id=order_id, session="talk"))
        await _look(catalogue)
        delivery = await harness.claim(queue)
        assert (delivery.order.id, delivery.attempt) == ("a", 1)
        await _look(catalogue)
        await queue.renew(delivery)


async def _look(catalogue: OrderCatalogue) -> None:
    await catalogue.list()
    await catalogue.count()
    await catalogue.get(OrderId("a"))


async def _ended(
    harness: QueueHarness, queue: OrderQueue, outcome: Outcome, order: Order | None = None
) -> Order:
    order = order or make_order()
    await queue.enqueue(order)
    delivery = await harness.claim(queue)
    ending = make_ending(outcome=outcome, finished_at=harness.now())
    settle = queue.dead_letter if outcome is Outcome.DEAD else queue.ack
    await settle(delivery, ending)
    return delivery.order
