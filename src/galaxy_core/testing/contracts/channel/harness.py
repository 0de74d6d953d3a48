"""What an adapter's author provides to run the contract of `Channel`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta

from attrs import frozen

from galaxy_core.domain.letter import Button, ButtonStyle
from galaxy_core.domain.message import (
    Address,
)
from galaxy_core.ports.channel import Channel
from galaxy_core.testing.contracts.harness import Harness

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
