"""The contract of `Channel`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import anyio
import pytest
from attrs import frozen

from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    PermanentError,
    TransientError,
)
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Button, ButtonStyle, Letter, LetterFormat, Receipt
from galaxy_core.domain.message import (
    Address,
    ButtonPressed,
    FileKind,
    Inbound,
    InboundMessage,
    RemoteFile,
)
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.status import Draft, Hint, Notice, PressAnswered, Typing
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts.contract import (
    PROMPT_SECONDS,
    Contract,
    nasty_texts,
    requires,
)
from galaxy_core.testing.contracts.harness import Harness
from galaxy_core.testing.factories import make_letter, make_status

CHAT = "chat-1"

YES_NO = (
    (Button("Yes", "a:1:0", ButtonStyle.POSITIVE), Button("No", "a:1:1", ButtonStyle.NEGATIVE)),
    (Button("Later", "a:1:2"),),
)


@frozen(kw_only=True)
class ChannelFeatures:
    """What a channel can do beyond the bare contract."""

    survives_restart: bool = True
    """The other side keeps messages until they are confirmed."""
    has_outages: bool = True
    """The harness can make the other side refuse for a while."""
    can_lose_answers: bool = True
    """The harness can cut a delivery after it took effect."""
    has_unreachable_chats: bool = True
    """The harness can make a chat unreachable for good."""
    shows_cards: bool = True
    """`show` shows something."""
    has_parts: bool = True
    """A letter can be too long for one message."""
    has_buttons: bool = True
    """People can press what is below a message."""
    has_files: bool = True
    """Files can be sent in both directions."""


class ChannelHarness(Harness[Channel]):
    """A fresh channel with a person on the other side, who has the chat `chat`."""

    chat: str = CHAT
    channel: str = "memory"
    """The adapter's name."""

    @property
    def address(self) -> Address:
        """Where the person reads."""
        return Address(channel=self.channel, chat_id=self.chat)

    @abstractmethod
    async def say(self, text: str) -> None:
        """The person writes a message in the chat."""

    @abstractmethod
    async def texts(self) -> Sequence[str]:
        """What the chat shows now, oldest first, one text for each message of ours.

        As a person reads it, with what text documents hold and without the buttons.
        """

    async def press(self, data: str) -> None:
        """The person presses the button with that data, below the newest message that has it."""
        raise NotImplementedError

    async def buttons(self) -> Sequence[Sequence[str]]:
        """What the buttons below each message carry: one entry for each of `texts`."""
        raise NotImplementedError

    async def send_file(self, name: str, content: bytes) -> None:
        """The person sends a document."""
        raise NotImplementedError

    async def files(self) -> Sequence[str]:
        """Names of the files that the chat was sent, oldest first."""
        raise NotImplementedError

    async def delete(self, message_id: str) -> None:
        """The person deletes a message of ours."""
        raise NotImplementedError

    async def make_unreachable(self) -> None:
        """The person blocks us, or the chat is deleted."""
        raise NotImplementedError

    async def refuse_once(self, retry_after: timedelta) -> None:
        """The other side refuses the next delivery and asks us to wait so long."""
        raise NotImplementedError

    async def lose_answer_once(self) -> None:
        """The next delivery takes effect, but its answer never comes."""
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
        assert (await _hear(channel)).text == "two"

    @requires("survives_restart")
    async def test_confirming_one_message_leaves_the_others(self, harness: ChannelHarness) -> None:
        """A message that takes long does not go with a later one that was quick."""
        channel = await harness.open()
        await harness.say("slow")
        await harness.say("quick")
        await _receive(channel)
        await channel.confirm(await _receive(channel))
        await harness.restart()
        channel = await harness.open()
        assert (await _hear(channel)).text == "slow"

    async def test_messages_come_in_order(self, harness: ChannelHarness) -> None:
        """People's messages arrive in the order in which they were written, each once."""
        channel = await harness.open()
        texts = [f"message {number}" for number in range(5)]
        for text in texts:
            await harness.say(text)
        received = [await _hear(channel) for _ in texts]
        assert [message.text for message in received] == texts
        assert len({message.key for message in received}) == len(texts)

    async def test_message_says_where_it_comes_from(self, harness: ChannelHarness) -> None:
        """An answer finds its way back: channel and chat are those that letters are sent to."""
        channel = await harness.open()
        await harness.say("hello")
        message = await _hear(channel)
        assert channel.name == harness.channel
        assert message.address == harness.address
        assert message.sender_id
        assert message.sent_at.tzinfo is not None

    async def test_receive_waits_for_a_message(self, harness: ChannelHarness) -> None:
        """A message is received when it is written, not at the next look."""
        channel = await harness.open()
        received: list[InboundMessage] = []

        async def receive() -> None:
            received.append(await _hear(channel))

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
        assert (await _hear(channel)).text == text

    @requires("has_buttons")
    async def test_pressed_button_says_what_it_carries(self, harness: ChannelHarness) -> None:
        """A press comes with the button's data, from the chat and the message it stands in."""
        channel = await harness.open()
        receipt = await channel.send(make_letter(buttons=YES_NO), harness.address)
        await harness.press("a:1:1")
        pressed = await _receive(channel)
        assert isinstance(pressed, ButtonPressed)
        assert pressed.data == "a:1:1"
        assert pressed.address == harness.address
        assert pressed.message_id == receipt.message_ids[-1]
        await channel.confirm(pressed)
        await channel.hint(PressAnswered(press_id=pressed.press_id, text="Noted"), pressed.address)

    @requires("has_files")
    async def test_file_is_fetched_whole(self, harness: ChannelHarness, tmp_path: Path) -> None:
        """A file that a person sends can be stored as it is; storing it twice does no harm."""
        channel = await harness.open()
        content = bytes(range(256)) * 300
        await harness.send_file("figures.bin", content)
        (file,) = (await _hear(channel)).files
        assert file.name == "figures.bin"
        target = tmp_path / "new" / "folder" / "figures.bin"
        for _ in range(2):
            await channel.fetch(file, target)
            assert target.read_bytes() == content
        assert [path.name for path in target.parent.iterdir()] == ["figures.bin"]

    @requires("has_files")
    async def test_file_that_is_gone_is_a_permanent_error(
        self, harness: ChannelHarness, tmp_path: Path
    ) -> None:
        """Nobody waits for a file that the other side does not have; nothing is left of it."""
        channel = await harness.open()
        file = RemoteFile(id="gone", kind=FileKind.DOCUMENT, name="gone.txt")
        with pytest.raises(PermanentError):
            await channel.fetch(file, tmp_path / "gone.txt")
        left = list(tmp_path.iterdir())  # noqa: ASYNC240 - a test may block its own loop
        assert not left

    # ---- out

    async def test_rates_can_be_kept(self, harness: ChannelHarness) -> None:
        """The limits that a channel names let something through."""
        rates = (await harness.open()).rates()
        named = [rate for rate in (rates.chat, rates.group, rates.total) if rate is not None]
        assert all(rate.burst >= 1 for rate in named)
        assert all(rate.every >= timedelta(0) for rate in named)
        assert min(rates.edit_every, rates.group_edit_every) >= timedelta(0)

    @requires("has_unreachable_chats")
    async def test_unreachable_chat_is_told(self, harness: ChannelHarness) -> None:
        """Nobody tries for ever to reach who cannot be reached, with letter or card."""
        channel = await harness.open()
        await harness.make_unreachable()
        with pytest.raises(ChatUnreachable):
            await channel.send(make_letter(), harness.address)
        if self.features.shows_cards:
            with pytest.raises(ChatUnreachable):
                await channel.show(Notice(text="hello"), harness.address)

    @requires("has_outages")
    async def test_refusal_is_transient_and_says_how_long(self, harness: ChannelHarness) -> None:
        """A passing failure is told as one, with the time that was asked for; nothing was sent."""
        channel = await harness.open()
        await harness.refuse_once(timedelta(seconds=7))
        with pytest.raises(TransientError) as caught:
            await channel.send(make_letter(message="hello"), harness.address)
        assert not isinstance(caught.value, DeliveryUnknown)
        assert caught.value.retry_after == timedelta(seconds=7)
        assert list(await harness.texts()) == []
        await harness.elapse(timedelta(seconds=8))
        await channel.send(make_letter(message="hello"), harness.address)
        assert len(await harness.texts()) == 1

    @requires("can_lose_answers")
    async def test_lost_answer_is_told_as_unknown(self, harness: ChannelHarness) -> None:
        """Who cannot tell whether a letter arrived says so, and does not send it again himself."""
        channel = await harness.open()
        await harness.lose_answer_once()
        with pytest.raises(DeliveryUnknown):
            await channel.send(make_letter(message="hello"), harness.address)
        assert len(await harness.texts()) == 1

    async def test_repeat_is_marked(self, harness: ChannelHarness) -> None:
        """A part that may have come before says so to its reader, and is there all the same."""
        channel = await harness.open()
        letter = make_letter(message="hello", format=LetterFormat.PLAIN)
        await channel.send(letter, harness.address)
        await channel.send(letter, harness.address, is_repeat=True)
        first, second = await harness.texts()
        assert "hello" in first
        assert "hello" in second
        assert len(second) > len(first)

    async def test_short_letter_is_one_part(self, harness: ChannelHarness) -> None:
        """One letter, one message, and a receipt that proves it."""
        channel = await harness.open()
        letter = make_letter(message="hello", format=LetterFormat.PLAIN)
        receipt = await channel.send(letter, harness.address)
        assert (receipt.channel, receipt.chat_id) == (channel.name, harness.chat)
        assert (receipt.part, receipt.is_last) == (1, True)
        assert receipt.message_ids
        (text,) = await harness.texts()
        assert "hello" in text

    @requires("has_parts")
    @pytest.mark.parametrize("words", [1_400, 5_000])
    async def test_long_letter_comes_whole(self, harness: ChannelHarness, words: int) -> None:
        """Every word of a long letter arrives, in order, and the last part says that it is."""
        channel = await harness.open()
        letter = _long_letter(words)
        receipts = await _send_all(channel, letter, harness.address)
        assert len(receipts) > 1
        assert [receipt.part for receipt in receipts] == list(range(1, len(receipts) + 1))
        assert _squeezed(letter.message) in _squeezed("".join(await harness.texts()))

    @requires("has_parts")
    async def test_delivery_goes_on_at_any_part(self, harness: ChannelHarness) -> None:
        """After a restart the missing parts are sent, and they are the same parts."""
        channel = await harness.open()
        letter = _long_letter(1_400)
        first = await channel.send(letter, harness.address)
        assert not first.is_last
        if self.features.survives_restart:
            await harness.restart()
            channel = await harness.open()
        await _send_all(channel, letter, harness.address, part=2)
        assert _squeezed(letter.message) in _squeezed("".join(await harness.texts()))

    @requires("has_parts", "has_buttons")
    async def test_buttons_stand_below_the_last_part(self, harness: ChannelHarness) -> None:
        """Who has read a long letter to its end finds what to press there, and nowhere else."""
        channel = await harness.open()
        await _send_all(channel, _long_letter(1_400, buttons=YES_NO), harness.address)
        *others, last = await harness.buttons()
        assert len(others) >= 1
        assert not any(others)
        assert list(last) == ["a:1:0", "a:1:1", "a:1:2"]

    @requires("has_files")
    async def test_files_come_with_the_letter(
        self, harness: ChannelHarness, tmp_path: Path
    ) -> None:
        """The files that a letter names are sent, each once, and its text is not forgotten."""
        channel = await harness.open()
        names = ["report.txt", "figures.csv"]
        for name in names:
            (tmp_path / name).write_text(f"contents of {name}")
        paths = tuple(str(tmp_path / name) for name in names)
        await _send_all(channel, make_letter(message="Here they are", files=paths), harness.address)
        assert list(await harness.files()) == names
        assert "Here they are" in "".join(await harness.texts())

    @nasty_texts
    async def test_no_text_is_dropped(self, harness: ChannelHarness, text: str) -> None:
        """Whatever a letter says, somebody gets something to read."""
        channel = await harness.open()
        letter = make_letter(message=text[:20_000], format=LetterFormat.PLAIN)
        receipts = await _send_all(channel, letter, harness.address)
        assert len(await harness.texts()) == sum(len(r.message_ids) for r in receipts) > 0

    @pytest.mark.parametrize(
        "text", ["<b>open", "</i>", "<script>x</script>", "a < b & c", "<b><i>crossed</b></i>"]
    )
    @pytest.mark.parametrize("form", LetterFormat)
    async def test_broken_markup_is_still_delivered(
        self, harness: ChannelHarness, text: str, form: LetterFormat
    ) -> None:
        """Markup that the other side would refuse is sent as plain text, never dropped."""
        channel = await harness.open()
        await channel.send(make_letter(message=text, format=form), harness.address)
        (shown,) = await harness.texts()
        assert text in shown

    # ---- cards and hints

    @requires("shows_cards")
    async def test_newer_card_replaces_the_older(self, harness: ChannelHarness) -> None:
        """People see one message that changes, not a hundred."""
        channel = await harness.open()
        shown: str | None = None
        for text in ("first words", "later words", "later words"):
            shown = await channel.show(Notice(text=text), harness.address, shown)
            assert shown is not None
            await harness.elapse(timedelta(minutes=1))
        (text,) = await harness.texts()
        assert "later words" in text

    @requires("shows_cards", "survives_restart")
    async def test_card_is_changed_after_a_restart(self, harness: ChannelHarness) -> None:
        """The message's id is all that is needed to go on with it."""
        shown = await (await harness.open()).show(Notice(text="before"), harness.address)
        await harness.restart()
        channel = await harness.open()
        assert await channel.show(Notice(text="after"), harness.address, shown) == shown
        (text,) = await harness.texts()
        assert "after" in text

    @requires("shows_cards")
    async def test_card_that_is_gone_is_shown_anew(self, harness: ChannelHarness) -> None:
        """Who deleted a card sees the next state all the same."""
        channel = await harness.open()
        shown = await channel.show(Notice(text="first words"), harness.address)
        assert shown is not None
        await harness.delete(shown)
        anew = await channel.show(Notice(text="later words"), harness.address, shown)
        assert anew not in (None, shown)
        (text,) = await harness.texts()
        assert "later words" in text

    @requires("shows_cards")
    async def test_card_shows_what_an_order_does(self, harness: ChannelHarness) -> None:
        """Whoever waits sees that something happens, and what; any text is good enough."""
        channel = await harness.open()
        for tool in ("reading the figures", "*_`<b>", "x" * 20_000):
            progress = Progress(order_id=OrderId("a"), tool=tool, note=tool)
            await channel.show(make_status(progress=progress), harness.address)
        texts = await harness.texts()
        assert len(texts) == 3
        assert "reading the figures" in texts[0]
        assert "*_`<b>" in texts[1]

    @requires("shows_cards", "has_buttons")
    async def test_buttons_of_a_card_come_and_go(self, harness: ChannelHarness) -> None:
        """A question that was answered has nothing to press any more."""
        channel = await harness.open()
        shown = await channel.show(Notice(text="Sure?", buttons=YES_NO), harness.address)
        assert [list(row) for row in await harness.buttons()] == [["a:1:0", "a:1:1", "a:1:2"]]
        await channel.show(Notice(text="Sure? Yes."), harness.address, shown)
        assert [list(row) for row in await harness.buttons()] == [[]]

    async def test_hints_never_fail(self, harness: ChannelHarness) -> None:
        """A run is not held up because nobody can be given a hint, and no hint is a message."""
        channel = await harness.open()
        order = OrderId("a")
        hints: list[Hint] = [
            Typing(),
            *(Draft(order_id=order, text=text) for text in ("", "words", "x" * 20_000)),
            PressAnswered(press_id="long ago", text="Too late"),
        ]
        for hint in hints:
            await channel.hint(hint, harness.address)
        if self.features.has_unreachable_chats:
            await harness.make_unreachable()
            for hint in hints:
                await channel.hint(hint, harness.address)
        assert list(await harness.texts()) == []


def _long_letter(words: int, **overrides: object) -> Letter:
    text = "".join(f"word{number} " for number in range(words))
    return make_letter(message=text, format=LetterFormat.PLAIN, **overrides)


async def _receive(channel: Channel) -> Inbound:
    with anyio.fail_after(PROMPT_SECONDS):
        return await channel.receive()


async def _hear(channel: Channel) -> InboundMessage:
    message = await _receive(channel)
    assert isinstance(message, InboundMessage)
    return message


async def _send_all(
    channel: Channel, letter: Letter, address: Address, *, part: int = 1
) -> list[Receipt]:
    receipts = [await channel.send(letter, address, part=part)]
    while not receipts[-1].is_last:
        part += 1
        receipts.append(await channel.send(letter, address, part=part))
        assert part < 100, "the last part never comes"
    return receipts


def _squeezed(text: str) -> str:
    return "".join(text.split())
