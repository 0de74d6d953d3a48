"""Port: small durable records of a service, by kind and key."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from galaxy_core.domain.order import EMPTY, JSONObject


@frozen(kw_only=True)
class Note:
    """One record."""

    kind: str
    """What it is about (`ask`, `pairing`, ...): each kind has keys of its own."""
    key: str
    value: JSONObject = field(default=EMPTY)


@frozen(kw_only=True)
class ClosedKey:
    """What is still known of a note that was closed."""

    key: str
    at: datetime
    """When it was closed."""


class NoteStore(Protocol):
    """What has to be remembered over a restart and lies nowhere else.

    Safe for several tasks and several processes.  When a writing method returns, what it wrote
    survives a power cut; it writes all it was given, or nothing.  Writers that come together
    share one sync.  Every method raises `StorageUnavailable` when the store refuses.
    """

    @abstractmethod
    async def get(self, kind: str, key: str) -> Note | None:
        """The note; None when there is none, or it was closed."""

    @abstractmethod
    async def list(self, kind: str) -> Sequence[Note]:
        """All notes of a kind that are not closed, in the order in which their keys came in."""

    @abstractmethod
    async def add(self, notes: Sequence[Note]) -> frozenset[str]:
        """Write those whose key their kind has never had; the keys that were new.

        A closed key counts as known until it is pruned: that is how repeats are noticed.
        """

    @abstractmethod
    async def put(self, notes: Sequence[Note]) -> None:
        """Write them, in place of what was there under their keys; a closed key is open again."""

    @abstractmethod
    async def close(self, kind: str, keys: Collection[str]) -> None:
        """The matter is over: forget the value, remember the key.  Safe twice.

        A key that never was is remembered too.
        """

    @abstractmethod
    async def prune(self, kind: str, before: datetime) -> int:
        """Forget the keys that were closed before then; how many."""

    @abstractmethod
    async def closed(
        self, kind: str, *, after: ClosedKey | None = None, limit: int = 1000
    ) -> Sequence[ClosedKey]:
        """Keys that were closed and not pruned since, at most `limit`, behind `after`.

        In the order in which they were closed (of one moment: by key); empty when there are none.
        """
