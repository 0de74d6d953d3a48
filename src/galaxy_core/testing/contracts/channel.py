"""The contract of `Channel`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import anyio
import pytest
from attrs import frozen

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter, LetterFormat, Receipt
from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.operations import Progress
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts.contract import (
    PROMPT_SECONDS,
    Contract,
    nasty_texts,
    requires,
)
from galaxy_core.testing.contracts.harness import Harness
from galaxy_core.testing.factories import make_letter

CHAT = "chat-1"


@frozen(kw_only=True)
class ChannelFeatures:
    """What a channel can do beyond the bare contract."""

    survives_restart: bool = True
    """The other side keeps messages until they are confirmed."""
    has_outages: bool = True
    """The harness can make the other side refuse for a while."""
    has_unreachable_chats: bool = True
    """The harness can make a chat unreachable for good."""
    shows_progress: bool = True
    """`show` shows something that the harness can read."""
    has_parts: bool = True
    """A letter can be too long for one message."""


class ChannelHarness(Harness[Channel]):
    """A fresh channel with a person on the other side, who has the chat `chat`."""

    chat: str = CHAT

    @abstractmethod
    async def say(self, text: str) -> None:
        """The person writes a message in the chat."""

    @abstractmethod
    async def texts(self) -> Sequence[str]:
        """What the chat was sent, oldest first, as a person reads it."""

    async def shown(self) -> Sequence[str]:
        """What the chat shows of running orders now, one text per order."""
        raise NotImplementedError

    async def make_unreachable(self) -> None:
        """The person blocks us, or the chat is deleted."""
        raise NotImplementedError

    async def refuse_once(self, retry_after: timedelta) -> None:
        """The other side refuses the next delivery and asks us to wait so long."""
        raise NotImplementedError


class ChannelContract(Contract):
    """Everything that a `Channel` owes gateway and courier."""

    features: ClassVar[ChannelFeatures] = ChannelFeatures()

    # ---- in

    @requires("survives_restart")
    async def test_unconfirmed_message_comes_again(self, harness: ChannelHarness) -> None:
        """What we did not store comes again after a restart, under the same key."""
        channel = await harness.open()
        await harness.say("one")
        await harness.say("two")
        first, second = await _receive(channel), await _receive(channel)
        await harness.restart()
        channel = await harness.open()
        assert [(await _receive(channel)).key for _ in range(2)] == [first.key, second.key]

    @requires("survives_restart")
    async def test_confirmed_message_does_not_come_again(self, harness: ChannelHarness) -> None:
        """What we have stored is over for the other side; confirming twice is fine."""
        channel = await harness.open()
        await harness.say("one")
        first = await _receive(channel)
        await channel.confirm(first)
        await channel.confirm(first)
        await harness.restart()
        channel = await harness.open()
        await harness.say("two")
        assert (await _receive(channel)).text == "two"

    async def test_messages_come_in_order(self, harness: ChannelHarness) -> None:
        """People's messages arrive in the order in which they were written, each once."""
        channel = await harness.open()
        texts = [f"message {number}" for number in range(5)]
        for text in texts:
            await harness.say(text)
        received = [await _receive(channel) for _ in texts]
        assert [message.text for message in received] == texts
        assert len({message.key for message in received}) == len(texts)

    async def test_message_says_where_it_comes_from(self, harness: ChannelHarness) -> None:
        """An answer finds its way back: channel and chat are those that letters are sent to."""
        channel = await harness.open()
        await harness.say("hello")
        message = await _receive(channel)
        assert (message.channel, message.chat_id) == (channel.name, harness.chat)
        assert message.sender_id
        assert message.sent_at.tzinfo is not None

    async def test_receive_waits_for_a_message(self, harness: ChannelHarness) -> None:
        """A message is received when it is written, not at the next look."""
        channel = await harness.open()
        received: list[InboundMessage] = []

        async def receive() -> None:
            received.append(await _receive(channel))

        async with anyio.create_task_group() as group:
            group.start_soon(receive, name="receive")
            await settle()
            assert not received
            await harness.say("hello")
        assert [message.text for message in received] == ["hello"]

    @pytest.mark.parametrize("text", ["<b>&amp;", "*_`[", "\U0001f680 ä e\u0301", "a\n\nb"])
    async def test_text_comes_in_as_it_was_written(
        self, harness: ChannelHarness, text: str
    ) -> None:
        """What a person writes is not interpreted on the way in."""
        channel = await harness.open()
        await harness.say(text)
        assert (await _receive(channel)).text == text

    # ---- out

    @requires("has_unreachable_chats")
    async def test_unreachable_chat_is_a_permanent_error(self, harness: ChannelHarness) -> None:
        """Nobody tries for ever to reach who cannot be reached."""
        channel = await harness.open()
        await harness.make_unreachable()
        with pytest.raises(PermanentError):
            await channel.send(make_letter(), harness.chat)

    @requires("has_outages")
    async def test_refusal_is_transient_and_says_how_long(self, harness: ChannelHarness) -> None:
        """A passing failure is told as one, with the time that was asked for; nothing was sent."""
        channel = await harness.open()
        await harness.refuse_once(timedelta(seconds=7))
        with pytest.raises(TransientError) as caught:
            await channel.send(make_letter(message="hello"), harness.chat)
        assert caught.value.retry_after == timedelta(seconds=7)
        assert list(await harness.texts()) == []
        await harness.elapse(timedelta(seconds=8))
        await channel.send(make_letter(message="hello"), harness.chat)
        assert len(await harness.texts()) == 1

    async def test_short_letter_is_one_part(self, harness: ChannelHarness) -> None:
        """One letter, one message, and a receipt that proves it."""
        channel = await harness.open()
        letter = make_letter(message="hello", format=LetterFormat.PLAIN)
        receipt = await channel.send(letter, harness.chat)
        assert (receipt.channel, receipt.chat_id) == (channel.name, harness.chat)
        assert (receipt.part, receipt.is_last) == (1, True)
        assert receipt.message_ids
        (text,) = await harness.texts()
        assert "hello" in text

    @requires("has_parts")
    async def test_long_letter_comes_in_parts(self, harness: ChannelHarness) -> None:
        """Every word of a long letter arrives, in order, and the last part says that it is."""
        channel = await harness.open()
        words = "".join(f"word{number} " for number in range(5000))
        letter = make_letter(message=words, format=LetterFormat.PLAIN)
        receipts = await _send_all(channel, letter, harness.chat)
        assert len(receipts) > 1
        assert [receipt.part for receipt in receipts] == list(range(1, len(receipts) + 1))
        assert _squeezed(words) in _squeezed("".join(await harness.texts()))

    @requires("has_parts")
    async def test_delivery_goes_on_at_any_part(self, harness: ChannelHarness) -> None:
        """After a restart the missing parts are sent, and they are the same parts."""
        channel = await harness.open()
        words = "".join(f"word{number} " for number in range(5000))
        letter = make_letter(message=words, format=LetterFormat.PLAIN)
        first = await channel.send(letter, harness.chat)
        assert not first.is_last
        if self.features.survives_restart:
            await harness.restart()
            channel = await harness.open()
        await _send_all(channel, letter, harness.chat, part=2)
        assert _squeezed(words) in _squeezed("".join(await harness.texts()))

    @nasty_texts
    async def test_no_text_is_dropped(self, harness: ChannelHarness, text: str) -> None:
        """Whatever a letter says, somebody gets something to read."""
        channel = await harness.open()
        letter = make_letter(message=text[:20_000], format=LetterFormat.PLAIN)
        receipts = await _send_all(channel, letter, harness.chat)
        assert len(await harness.texts()) == sum(len(r.message_ids) for r in receipts)

    @pytest.mark.parametrize(
        "text", ["<b>open", "</i>", "<script>x</script>", "a < b & c", "<b><i>crossed</b></i>"]
    )
    async def test_broken_markup_is_still_delivered(
        self, harness: ChannelHarness, text: str
    ) -> None:
        """Markup that the other side would refuse is sent as plain text, never dropped."""
        channel = await harness.open()
        await channel.send(make_letter(message=text, format=LetterFormat.HTML), harness.chat)
        assert len(await harness.texts()) == 1

    # ---- progress

    @requires("shows_progress")
    async def test_newer_progress_replaces_the_older(self, harness: ChannelHarness) -> None:
        """People see one message that changes, not a hundred."""
        channel = await harness.open()
        for text in ("first words", "later words"):
            await channel.show(Progress(order_id=OrderId("a"), text=text), harness.chat)
            await harness.elapse(timedelta(minutes=1))
        shown = await harness.shown()
        assert len(shown) == 1
        assert "later words" in shown[0]

    async def test_progress_never_fails(self, harness: ChannelHarness) -> None:
        """A run is not held up because nobody can be shown how it gets on."""
        channel = await harness.open()
        if self.features.has_unreachable_chats:
            await harness.make_unreachable()
        for text in ("", "words", "x" * 20_000):
            await channel.show(Progress(order_id=OrderId("a"), text=text), harness.chat)
        assert list(await harness.texts()) == []


async def _receive(channel: Channel) -> InboundMessage:
    with anyio.fail_after(PROMPT_SECONDS):
        return await channel.receive()


async def _send_all(
    channel: Channel, letter: Letter, chat_id: str, *, part: int = 1
) -> list[Receipt]:
    receipts = [await channel.send(letter, chat_id, part=part)]
    while not receipts[-1].is_last:
        part += 1
        receipts.append(await channel.send(letter, chat_id, part=part))
        assert part < 100, "the last part never comes"
    return receipts


def _squeezed(text: str) -> str:
    return "".join(text.split())
