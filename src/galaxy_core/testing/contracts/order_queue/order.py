"""Which order comes next."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order, Priority
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.order_queue.harness import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order


class NextOrderContract(Contract):
    """Conversations, priorities, times and dependencies."""

    # ---- giving back

    async def test_given_back_keeps_its_place(self, harness: QueueHarness) -> None:
        """An order that is tried again is still the first of its conversation."""
        queue = await harness.open()
        await _enqueue(queue, *(make_order(id=i, session="talk") for i in "abc"))
        await queue.nack(await harness.claim(queue))
        assert await _drain(queue) == ["a", "b", "c"]

    async def test_given_back_comes_again_when_its_delay_is_over(
        self, harness: QueueHarness
    ) -> None:
        """A delay is obeyed: not before, and then at once."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="a"))
        await queue.nack(await harness.claim(queue), delay=harness.lease * 3, reason="provider")
        assert await queue.claim() is None
        await harness.elapse(harness.lease * 3 - harness.tick)
        assert await queue.claim() is None
        await harness.elapse(harness.tick * 2)
        assert (await harness.claim(queue)).attempt == 2

    async def test_delayed_order_holds_up_its_conversation(self, harness: QueueHarness) -> None:
        """Order of arrival comes before speed: later messages build on the one that waits."""
        queue = await harness.open()
        await _enqueue(queue, *(make_order(id=i, session="talk") for i in "ab"))
        await queue.nack(await harness.claim(queue), delay=harness.lease)
        assert await queue.claim() is None
        await harness.elapse(harness.lease + harness.tick)
        assert await _drain(queue) == ["a", "b"]

    async def test_delayed_order_holds_up_no_other_conversation(
        self, harness: QueueHarness
    ) -> None:
        """One conversation's trouble is nobody else's."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="a"), make_order(id="b"))
        await queue.nack(await harness.claim(queue), delay=harness.lease)
        assert await _drain(queue) == ["b"]

    async def test_giving_back_on_purpose_is_not_counted(self, harness: QueueHarness) -> None:
        """A worker that stops on purpose takes no attempt from the order, and is no failure."""
        queue = await harness.open()
        await _enqueue(queue, make_order())
        for _ in range(3):
            delivery = await harness.claim(queue)
            assert (delivery.attempt, delivery.failures) == (1, 0)
            await queue.nack(delivery, is_counted=False)
        await queue.nack(await harness.claim(queue))
        delivery = await harness.claim(queue)
        assert (delivery.attempt, delivery.failures) == (2, 1)

    # ---- conversations

    async def test_one_order_of_a_conversation_at_a_time(self, harness: QueueHarness) -> None:
        """An agent given two prompts at once in one session answers only the last."""
        queue = await harness.open()
        await _enqueue(queue, *(make_order(id=i, session="talk") for i in "ab"))
        first = await harness.claim(queue)
        assert await queue.claim() is None
        await queue.ack(first, make_ending())
        assert (await harness.claim(queue)).order.id == "b"

    @requires("has_several_workers")
    async def test_one_order_of_a_conversation_over_all_workers(
        self, harness: QueueHarness
    ) -> None:
        """The rule holds between workers as it does inside one."""
        one, two = await harness.open("one"), await harness.open("two")
        await _enqueue(one, *(make_order(id=i, session="talk") for i in "ab"))
        first = await harness.claim(one)
        assert await two.claim() is None
        await one.ack(first, make_ending())
        assert (await harness.claim(two)).order.id == "b"

    @pytest.mark.parametrize("is_counted", [True, False])
    async def test_begun_order_comes_before_all_others_of_its_conversation(
        self, harness: QueueHarness, *, is_counted: bool
    ) -> None:
        """Others would go on in its session while it is broken off."""
        queue = await harness.open()
        await _enqueue(queue, *(make_order(id=i, session="talk") for i in "ab"))
        begun = await queue.claim(only=OrderId("b"))
        assert begun is not None
        await queue.nack(begun, is_counted=is_counted)
        assert (await harness.claim(queue)).order.id == "b"

    @requires("has_several_workers")
    async def test_order_taken_beside_its_conversation_keeps_it_busy(
        self, harness: QueueHarness
    ) -> None:
        """Also what is held for being ended is one of its conversation: the next has to wait."""
        one, two = await harness.open("one"), await harness.open("two")
        await _enqueue(one, *(make_order(id=i, session="talk") for i in "ab"))
        first = await harness.claim(one)
        beside = await one.claim(only=OrderId("b"))
        assert beside is not None
        await one.ack(first, make_ending())
        # Neither one that waited already nor one that comes in now.
        await _enqueue(two, *(make_order(id=i, session="talk") for i in "cd"))
        assert await two.claim() is None
        assert await one.claim() is None
        await one.ack(beside, make_ending(outcome=Outcome.CANCELLED))
        assert (await harness.claim(two)).order.id == "c"

    async def test_conversation_is_by_session_then_chat_then_machine(
        self, harness: QueueHarness
    ) -> None:
        """Chats and topics are conversations of their own; orders without any share one."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="chat", session=None, channel="telegram", chat_id="1"),
            make_order(id="chat-again", session=None, channel="telegram", chat_id="1"),
            make_order(id="topic", session=None, channel="telegram", chat_id="1", topic="9"),
            make_order(id="bare", session=None),
            make_order(id="bare-again", session=None),
        )
        held = [await harness.claim(queue) for _ in range(3)]
        assert [d.order.id for d in held] == ["chat", "topic", "bare"]
        assert await queue.claim() is None

    async def test_conversation_keeps_the_order_of_arrival(self, harness: QueueHarness) -> None:
        """Inside a conversation neither priority nor id nor timestamp changes the order."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="z", session="talk", priority=Priority.LOW),
            make_order(id="a", session="talk", priority=Priority.URGENT, timestamp=None),
            make_order(id="m", session="talk", timestamp=harness.now() - timedelta(days=9)),
        )
        assert await _drain(queue) == ["z", "a", "m"]

    async def test_many_orders_keep_the_order_of_arrival(self, harness: QueueHarness) -> None:
        """The order of arrival does not come from names or from a coarse clock."""
        queue = await harness.open()
        ids = [f"order-{(number * 7) % 30}" for number in range(30)]
        await _enqueue(queue, *(make_order(id=i, session="talk") for i in ids))
        assert await _drain(queue) == ids

    # ---- between conversations

    async def test_conversations_come_in_the_order_of_arrival(self, harness: QueueHarness) -> None:
        """First come, first served."""
        queue = await harness.open()
        await _enqueue(queue, *(make_order(id=i) for i in "dbca"))
        assert [(await harness.claim(queue)).order.id for _ in range(4)] == list("dbca")

    async def test_urgent_conversations_come_first(self, harness: QueueHarness) -> None:
        """Between conversations the more urgent order goes first."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="low", priority=Priority.LOW),
            make_order(id="normal"),
            make_order(id="urgent", priority=Priority.URGENT),
            make_order(id="high", priority=Priority.HIGH),
        )
        assert await _drain(queue) == ["urgent", "high", "normal", "low"]

    async def test_urgent_order_pulls_its_conversation_forward(self, harness: QueueHarness) -> None:
        """An urgent order that waits behind others makes those go first too."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="high", priority=Priority.HIGH),
            make_order(id="first", session="talk", priority=Priority.LOW),
            make_order(id="urgent", session="talk", priority=Priority.URGENT),
        )
        assert await _drain(queue) == ["first", "urgent", "high"]

    # ---- times

    async def test_order_is_not_given_out_before_its_time(self, harness: QueueHarness) -> None:
        """`not_before` is obeyed, and then the order comes."""
        queue = await harness.open()
        due = harness.now() + harness.lease * 2
        await _enqueue(queue, make_order(id="a", not_before=due))
        assert await queue.claim() is None
        view = await (await harness.catalogue()).get(OrderId("a"))
        assert view is not None
        assert view.waits_until == due
        await harness.elapse(harness.lease * 2 + harness.tick)
        assert (await harness.claim(queue)).order.id == "a"

    async def test_order_for_later_does_not_hold_up_its_conversation(
        self, harness: QueueHarness
    ) -> None:
        """A reminder for tomorrow does not silence a chat until then."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="later", session="talk", not_before=harness.now() + harness.lease),
            make_order(id="now", session="talk"),
        )
        assert await _drain(queue) == ["now"]
        await harness.elapse(harness.lease + harness.tick)
        assert await _drain(queue) == ["later"]

    async def test_order_whose_time_has_come_takes_its_place_by_arrival(
        self, harness: QueueHarness
    ) -> None:
        """Once it is due, it is an order like any other, as old as it is."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="later", session="talk", not_before=harness.now() + harness.lease),
            make_order(id="now", session="talk"),
        )
        await harness.elapse(harness.lease + harness.tick)
        assert await _drain(queue) == ["later", "now"]

    # ---- dependencies

    async def test_order_waits_for_those_it_comes_after(self, harness: QueueHarness) -> None:
        """All orders named in `after` have ended before it is given out."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="last", after=(OrderId("a"), OrderId("b"))),
            make_order(id="a"),
            make_order(id="b"),
        )
        first, second = await harness.claim(queue), await harness.claim(queue)
        assert await queue.claim() is None
        await queue.ack(first, make_ending())
        assert await queue.claim() is None
        await queue.ack(second, make_ending())
        assert (await harness.claim(queue)).order.id == "last"

    async def test_any_end_of_the_earlier_order_lets_the_later_go(
        self, harness: QueueHarness
    ) -> None:
        """Whether the earlier one succeeded is for the caller to judge: nobody waits for ever."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="a"), make_order(id="last", after=(OrderId("a"),)))
        failed = make_ending(outcome=Outcome.DEAD, reason="no")
        await queue.dead_letter(await harness.claim(queue), failed)
        assert (await harness.claim(queue)).order.id == "last"

    async def test_order_may_come_before_the_one_it_waits_for(self, harness: QueueHarness) -> None:
        """A plan's steps may be handed in in any order, also inside one conversation."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="last", session="talk", after=(OrderId("a"),)))
        assert await queue.claim() is None
        await _enqueue(queue, make_order(id="a", session="talk"))
        assert await _drain(queue) == ["a", "last"]

    # ---- other machines

    @requires("has_other_machines")
    async def test_order_of_a_machine_served_elsewhere_is_left_alone(
        self, harness: QueueHarness
    ) -> None:
        """Two Hermes share a folder: each takes its own orders, under any spelling of its name."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="theirs", target=harness.other_machine.upper(), session="talk"),
            make_order(id="ours", target=harness.machine.upper(), session="talk"),
        )
        assert await _drain(queue) == ["ours"]

    async def test_order_for_an_unknown_machine_is_given_out(self, harness: QueueHarness) -> None:
        """An order that nobody serves gets an answer that says so, instead of silence."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="lost", target="no-such-machine"))
        assert (await harness.claim(queue)).order.id == "lost"

    # ---- one order in particular

    async def test_named_order_is_given_out_whatever_it_waits_for(
        self, harness: QueueHarness
    ) -> None:
        """`only` is for ending an order: its time, its conversation and `after` do not matter."""
        queue = await harness.open()
        await _enqueue(
            queue,
            make_order(id="head", session="talk"),
            make_order(
                id="wanted",
                session="talk",
                not_before=harness.now() + timedelta(days=1),
                after=(OrderId("nobody"),),
            ),
        )
        head = await harness.claim(queue)
        delivery = await queue.claim(only=OrderId("wanted"))
        assert delivery is not None
        assert delivery.order.id == "wanted"
        await queue.ack(delivery, make_ending(outcome=Outcome.CANCELLED))
        await queue.ack(head, make_ending())

    async def test_named_order_that_is_held_ended_or_unknown_is_not_given_out(
        self, harness: QueueHarness
    ) -> None:
        """`only` takes nothing away from anybody."""
        queue = await harness.open()
        await _enqueue(queue, make_order(id="a"), make_order(id="b"))
        held = await harness.claim(queue)
        assert await queue.claim(only=OrderId("a")) is None
        await queue.ack(held, make_ending())
        assert await queue.claim(only=OrderId("a")) is None
        assert await queue.claim(only=OrderId("never-heard-of")) is None
        assert (await harness.claim(queue)).order.id == "b"


async def _enqueue(queue: OrderQueue, *orders: Order) -> None:
    for order in orders:
        await queue.enqueue(order)


async def _drain(queue: OrderQueue) -> list[str]:
    """Claim and end orders until there is none; their ids."""
    ids = []
    while (delivery := await queue.claim()) is not None:
        ids.append(str(delivery.order.id))
        await _end(queue, delivery)
    return ids


async def _end(queue: OrderQueue, delivery: Delivery) -> None:
    await queue.ack(delivery, make_ending(attempts=delivery.attempt))
