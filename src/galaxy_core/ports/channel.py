"""Port: a way to people (Telegram, web, ...), both directions."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Protocol

from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address, Inbound, RemoteFile
from galaxy_core.domain.status import Card, Hint, Rates


class Channel(Protocol):
    """Messages from people in, letters to people out.

    The caller paces: no method waits for a rate limit by itself, and none repeats a call whose
    failure it reports.  Every method but `receive` is safe to call concurrently.
    """

    name: str
    """The word in `Order.channel` and `Letter.channel`."""

    @abstractmethod
    def rates(self) -> Rates:
        """How often it may be called in the long run."""

    @abstractmethod
    async def receive(self) -> Inbound:
        """What people said or pressed next; waits for it.

        It is on our side's disk already, or safe on the other side: what was not confirmed comes
        again after a restart, under the same key.  What belongs together (an album, a text that
        was split) comes as one.  What cannot be read is set aside and reported, not returned.
        """

    @abstractmethod
    async def confirm(self, inbound: Inbound) -> None:
        """All that follows from it is stored: it need not come again.  Safe twice."""

    @abstractmethod
    async def fetch(self, file: RemoteFile, target: Path) -> None:
        """Store a file of an inbound message at `target`, whose folder is made.

        Streams; `target` is there whole or not at all, also after a crash.  Safe twice.  Raises
        `TransientError`, `PermanentError` with a sentence for people (too large, gone).
        """

    @abstractmethod
    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        """Deliver part number `part` (1-based) of the letter to one chat.

        What a part holds depends on the letter alone: after a restart the same parts come.
        `Receipt.is_last` says whether that was all of it.  `is_repeat` says that the part may
        have been delivered before: people are told so.

        Raises `TransientError` (with `retry_after` if the channel named a time) when nothing was
        delivered, `DeliveryUnknown` when that cannot be told, `ChatUnreachable` when that chat
        can never be reached, another `PermanentError` when this part can never be delivered.
        """

    @abstractmethod
    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        """Show a card in place of what the message `message_id` shows now; None: as a new one.

        The id of the message that shows it; None where the channel shows none.  Raises as
        `send`.  A message that is gone is shown anew.
        """

    @abstractmethod
    async def hint(self, hint: Hint, address: Address) -> None:
        """Give a passing hint, where the channel has such a thing.

        Best effort: a hint that comes too late is no error.  Raises `TransientError` with
        `retry_after` when the channel asked us to wait.
        """
