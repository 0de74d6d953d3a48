"""What people say, press and send: all of it comes, once it is confirmed no more."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import (
    PermanentError,
)
from galaxy_core.domain.message import (
    ButtonPressed,
    FileKind,
    Inbound,
    InboundMessage,
    RemoteFile,
)
from galaxy_core.domain.status import PressAnswered
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.clock import settle
from galaxy_core.testing.contracts.channel.harness import YES_NO, ChannelFeatures, ChannelHarness
from galaxy_core.testing.contracts.contract import (
    PROMPT_SECONDS,
    Contract,
    requires,
)
from galaxy_core.testing.factories import make_letter


class HearingContract(Contract):
    """What `receive`, `confirm` and `fetch` promise."""

    features: ClassVar[ChannelFeatures]

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


async def _receive(channel: Channel) -> Inbound:
    with anyio.fail_after(PROMPT_SECONDS):
        return await channel.receive()


async def _hear(channel: Channel) -> InboundMessage:
    message = await _receive(channel)
    assert isinstance(message, InboundMessage)
    return message
