"""Port: a place outside of the audit trail where its heads are written down."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen


@frozen(kw_only=True)
class Anchor:
    """Where a trail stood at a moment."""

    trail: str
    """The name of the machine whose trail it is."""
    sequence: int
    digest: str
    at: datetime
    """Kept to the second."""


class AnchorLog(Protocol):
    """Anchors, one after the other; nothing is ever taken away."""

    @abstractmethod
    async def add(self, anchors: Sequence[Anchor]) -> int:
        """Add those whose trail has none of the same day (in UTC) yet; how many were added.

        When this returns, they survive a power cut.  Safe twice, and for several processes at
        once.  Raises `StorageUnavailable`.
        """
