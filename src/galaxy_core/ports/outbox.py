"""Port: letters that wait for delivery to people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Protocol

from attrs import frozen

from galaxy_core.domain.letter import Letter, Receipt


@frozen(kw_only=True)
class LetterCount:
    """How many letters there are."""

    waiting: int
    undeliverable: int


class Outbox(Protocol):
    """Letters, posted by anyone on the machine, delivered by one courier."""

    @abstractmethod
    async def post(self, letter: Letter) -> bool:
        """Put a letter in; when this returns, it survives a power cut.

        Safe twice: a letter whose `name` waits, was sent or was set aside is not put in again;
        then False.  Raises `StorageUnavailable`.
        """

    @abstractmethod
    async def pending(
        self, limit: int = 100, *, skip: Collection[str] = frozenset()
    ) -> Sequence[Letter]:
        """Letters that wait, oldest first.  What cannot be read is set aside, not returned.

        Those named in `skip` are not wanted, and cost next to nothing: the caller has them.
        """

    @abstractmethod
    async def record(self, letter: Letter, receipt: Receipt) -> Letter:
        """Remember that one part reached one chat, durably; the letter with the receipt added.

        After a crash `pending` returns the letter with its receipts, so that delivery goes on at
        the missing part.
        """

    @abstractmethod
    async def mark_sent(self, letter: Letter) -> None:
        """Everybody has all of it: keep it among the sent ones.  Safe twice."""

    @abstractmethod
    async def set_aside(self, letter: Letter, reason: str) -> None:
        """Nobody can get it: keep it among the undeliverable ones, with the reason."""

    @abstractmethod
    async def wait(self, timeout: timedelta | None = None) -> bool:
        """Sleep until a letter may wait, or `timeout` has passed (then False)."""

    @abstractmethod
    async def count(self) -> LetterCount:
        """How many wait, and how many nobody could get.  Reads none of them."""
