"""How orders come in: once each, whole, under an id that nobody else has."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import InvalidOrder
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Attachment, Priority
from galaxy_core.testing.contracts.contract import Contract, nasty_texts
from galaxy_core.testing.contracts.order_queue.harness import QueueHarness
from galaxy_core.testing.factories import at, make_ending, make_order


class ArrivalContract(Contract):
    """What `enqueue` promises."""

    @pytest.mark.parametrize(
        "bad_id", ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\nb", "a\0b", " a", "x" * 300]
    )
    async def test_id_that_is_no_id_is_refused(self, harness: QueueHarness, bad_id: str) -> None:
        """An id that could leave its folder is refused, and nothing is stored."""
        queue = await harness.open()
        with pytest.raises(InvalidOrder):
            await queue.enqueue(evolve(make_order(), id=OrderId(bad_id)))
        assert await queue.claim() is None

    async def test_same_order_twice_is_one_order(self, harness: QueueHarness) -> None:
        """A sender that did not hear the answer may send again."""
        queue = await harness.open()
        order = make_order(id="a")
        first, second = await queue.enqueue(order), await queue.enqueue(order)
        assert (first.order_id, first.is_new) == ("a", True)
        assert (second.order_id, second.is_new) == ("a", False)
        assert (await harness.claim(queue)).order == order
        assert await queue.claim() is None

    async def test_same_order_is_known_while_held_and_after_its_end(
        self, harness: QueueHarness
    ) -> None:
        """Sending again is safe at any time: an order that ended is not run a second time."""
        queue = await harness.open()
        order = make_order(id="a")
        await queue.enqueue(order)
        delivery = await harness.claim(queue)
        assert not (await queue.enqueue(order)).is_new
        await queue.ack(delivery, make_ending())
        assert not (await queue.enqueue(order)).is_new
        assert await queue.claim() is None

    async def test_same_id_with_other_content_is_numbered(self, harness: QueueHarness) -> None:
        """Old gateways gave every message of a chat one id: none of them is lost."""
        queue = await harness.open()
        ids = [
            (await queue.enqueue(make_order(id="chat", payload=text, session="s"))).order_id
            for text in ("one", "two", "three")
        ]
        assert ids == ["chat", "chat-2", "chat-3"]
        got = []
        for _ in range(3):
            delivery = await harness.claim(queue)
            got.append((delivery.order.id, delivery.order.payload))
            await queue.ack(delivery, make_ending())
        assert got == [("chat", "one"), ("chat-2", "two"), ("chat-3", "three")]

    async def test_numbered_order_sent_again_is_found(self, harness: QueueHarness) -> None:
        """Sending again is also safe for an order that was numbered."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", payload="one", session="s"))
        other = make_order(id="a", payload="two", session="s")
        first, second = await queue.enqueue(other), await queue.enqueue(other)
        assert (first.order_id, first.is_new) == ("a-2", True)
        assert (second.order_id, second.is_new) == ("a-2", False)

    async def test_id_of_an_ended_order_is_not_given_again(self, harness: QueueHarness) -> None:
        """Nothing is ever overwritten: the archive keeps its order, the new one is numbered."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", payload="old"))
        await queue.ack(await harness.claim(queue), make_ending())
        assert (await queue.enqueue(make_order(id="a", payload="new"))).order_id == "a-2"
        view = await (await harness.catalogue()).get(OrderId("a"))
        assert view is not None
        assert view.order.payload == "old"

    async def test_idempotency_key_makes_it_the_same_order(self, harness: QueueHarness) -> None:
        """A channel's redelivered update is the same order, whatever id it comes with."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", idempotency_key="update-7"))
        again = await queue.enqueue(make_order(id="b", idempotency_key="update-7"))
        assert (again.order_id, again.is_new) == ("a", False)
        await queue.ack(await harness.claim(queue), make_ending())
        late = await queue.enqueue(make_order(id="c", idempotency_key="update-7"))
        assert (late.order_id, late.is_new) == ("a", False)
        assert await queue.claim() is None

    @pytest.mark.parametrize("key", ["../up", "a/b", "colon:and space", "é\n\0", "k" * 5000])
    async def test_idempotency_key_may_be_any_text(self, harness: QueueHarness, key: str) -> None:
        """A key is the sender's own text and never a file name."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", idempotency_key=key))
        assert not (await queue.enqueue(make_order(id="b", idempotency_key=key))).is_new
        assert (await queue.enqueue(make_order(id="c", idempotency_key=key + "x"))).is_new

    async def test_concurrent_sends_of_one_order_store_it_once(self, harness: QueueHarness) -> None:
        """Two connections that deliver the same message at once make one order."""
        queue = await harness.open()
        order = make_order(id="a", idempotency_key="key")
        news: list[bool] = []

        async def send() -> None:
            news.append((await queue.enqueue(order)).is_new)

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(send, name="send")
        assert sorted(news) == [False] * 7 + [True]
        assert (await harness.claim(queue)).order.id == "a"
        assert await queue.claim() is None

    async def test_every_field_comes_back(self, harness: QueueHarness) -> None:
        """The worker gets the order as it was handed in, and so does who asks for it later."""
        queue = await harness.open()
        order = make_order(
            id="full",
            payload="Do it",
            sender="someone",
            target=harness.machine,
            command="review",
            agent="sisyphus",
            model="provider/model",
            priority=Priority.HIGH,
            project="site",
            media=(
                Attachment(path="media/a.png", name="a.png", mime="image/png"),
                Attachment(url="https://example.org/b.pdf"),
            ),
            channel="telegram",
            chat_id="-100",
            topic="7",
            reply_to="42",
            session="talk",
            not_before=at(-5),
            expires_at=at(60),
            timeout=timedelta(minutes=3),
            idempotency_key="key",
        )
        await queue.enqueue(order)
        delivery = await harness.claim(queue)
        assert delivery.order == order
        await queue.ack(delivery, make_ending())
        view = await (await harness.catalogue()).get(order.id)
        assert view is not None
        assert view.order == order

    async def test_unknown_fields_are_kept(self, harness: QueueHarness) -> None:
        """What somebody else wrote stays through claim, nack and archive."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="a", wire={"colour": "blue", "deep": {"x": [1, None]}}))
        delivery = await harness.claim(queue)
        assert delivery.order.wire["colour"] == "blue"
        await queue.nack(delivery)
        delivery = await harness.claim(queue)
        assert delivery.order.wire["deep"] == {"x": [1, None]}
        await queue.ack(delivery, make_ending())
        view = await (await harness.catalogue()).get(OrderId("a"))
        assert view is not None
        assert (view.order.wire["colour"], view.order.wire["deep"]) == ("blue", {"x": [1, None]})

    @nasty_texts
    async def test_payload_comes_back_whole(self, harness: QueueHarness, text: str) -> None:
        """Whatever a person wrote reaches the worker, character for character."""
        queue = await harness.open()
        await queue.enqueue(make_order(payload=text))
        assert (await harness.claim(queue)).order.payload == text

    async def test_order_that_must_be_refused_is_given_out(self, harness: QueueHarness) -> None:
        """Empty, too long, expired: the queue gives it out, so that it gets an answer."""
        queue = await harness.open()
        await queue.enqueue(make_order(id="empty", payload=""))
        await queue.enqueue(make_order(id="long", payload="x" * 20_000))
        await queue.enqueue(make_order(id="late", expires_at=harness.now() - timedelta(days=1)))
        ids = [(await harness.claim(queue)).order.id for _ in range(3)]
        assert sorted(ids) == ["empty", "late", "long"]
