"""Ports: what is left in a machine's folder of things that are over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from galaxy_core.domain.tidying import OldKind, Pile, Remnant, Ties


class OldFiles(Protocol):
    """Finds and removes; decides nothing.  Every method raises `StorageUnavailable`."""

    @abstractmethod
    def find(self, kind: OldKind, before: datetime) -> AsyncIterator[Sequence[Remnant]]:
        """All of one kind that was last changed before then, in pieces and in no order.

        Memory use does not grow with the folder; nothing younger is opened.  Nothing for kinds
        that are no files of this folder.
        """
        ...

    @abstractmethod
    async def waiting(self) -> Ties:
        """Letters that wait or could not be delivered, and orders whose files are mentioned.

        Says nothing of orders themselves: the catalogue knows them.
        """

    @abstractmethod
    async def remove(self, remnants: Sequence[Remnant]) -> int:
        """Remove them; how many were there.  Safe twice: what is gone is no error.

        One that cannot be removed keeps none of the others: the error is raised after them.
        """


class OldRecords(Protocol):
    """Old records of one kind in a store that knows by itself what is over.

    Every method raises `StorageUnavailable`.
    """

    @abstractmethod
    async def measure(self, before: datetime) -> Pile:
        """How much there is that is over and older."""

    @abstractmethod
    async def remove(self, before: datetime) -> Pile:
        """Remove it; how much that was.  Safe twice."""
