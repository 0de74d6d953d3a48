"""Port: what one watcher has said about what is wrong."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from galaxy_core.domain.health import AlertState


class AlertBook(Protocol):
    """A few entries, written whole.  One watcher writes, anybody may read."""

    @abstractmethod
    async def read(self) -> Sequence[AlertState]:
        """What was written last; empty when there is nothing, or nothing that can be read."""

    @abstractmethod
    async def write(self, states: Sequence[AlertState]) -> None:
        """Replace it, durably: readers see the old or the new one.  Raises `StorageUnavailable`."""
