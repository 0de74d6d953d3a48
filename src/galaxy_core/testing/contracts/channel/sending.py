"""Letters: whole, once, and if not, then it is told why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    TransientError,
)
from galaxy_core.domain.letter import Letter, LetterFormat, Receipt
from galaxy_core.domain.message import (
    Address,
)
from galaxy_core.domain.status import Notice
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.contracts.channel.harness import YES_NO, ChannelFeatures, ChannelHarness
from galaxy_core.testing.contracts.contract import (
    Contract,
    nasty_texts,
    requires,
)
from galaxy_core.testing.factories import make_letter


class SendingContract(Contract):
    """What `send` and `rates` promise."""

    features: ClassVar[ChannelFeatures]

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


def _long_letter(words: int, **overrides: object) -> Letter:
    text = "".join(f"word{number} " for number in range(words))
    return make_letter(message=text, format=LetterFormat.PLAIN, **overrides)


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
