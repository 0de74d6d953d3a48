"""Port: what a machine's folder holds, by name, for whoever checks that nothing is missing."""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from attrs import frozen

from galaxy_core.domain.ids import OrderId


class LetterPlace(enum.StrEnum):
    """Where a letter is."""

    WAITING = "waiting"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"


@frozen(kw_only=True)
class LetterTrace:
    """One letter of the outbox."""

    place: LetterPlace
    has_receipt: bool
    """Of one that was sent: whether it says that somebody has all of it.

    False for the others, and where it cannot be read."""


class Inventory(Protocol):
    """Names without contents: memory use does not grow with the folder.

    What comes or goes while it is listed may be told or not.  Every method raises
    `StorageUnavailable`.
    """

    @abstractmethod
    def ended(self) -> AsyncIterator[OrderId]:
        """Ids of all archived orders, in no order; nothing when there is no archive."""
        ...

    @abstractmethod
    def answered(self) -> AsyncIterator[OrderId]:
        """Ids of all orders that have a response, in no order."""
        ...

    @abstractmethod
    async def letters(self, names: Sequence[str]) -> Sequence[LetterTrace | None]:
        """Where the letters that were posted under these names are; None: nowhere."""
