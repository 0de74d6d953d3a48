"""Port: a way to people (Telegram, web, ...), both directions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.operations import Progress


class Channel(Protocol):
    """Messages from people in, letters to people out."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The word in `Order.channel` and `Letter.channel`."""

    @abstractmethod
    async def receive(self) -> InboundMessage:
        """The next message; waits for one.

        A message that was not confirmed comes again after a restart, under the same key.
        """

    @abstractmethod
    async def confirm(self, message: InboundMessage) -> None:
        """The message is stored on our side and need not come again.  Safe twice."""

    @abstractmethod
    async def send(self, letter: Letter, chat_id: str, *, part: int = 1) -> Receipt:
        """Deliver part number `part` (1-based) of the letter to one chat.

        `Receipt.is_last` says whether that was all of it.  Raises `TransientError` (with
        `retry_after` if the channel named a time), `PermanentError` when that chat can never be
        reached.
        """

    @abstractmethod
    async def show(self, progress: Progress, chat_id: str) -> None:
        """Show how an order gets on, in place of what was shown before.

        Best effort: may leave states out, raises nothing because of the other side.
        """
