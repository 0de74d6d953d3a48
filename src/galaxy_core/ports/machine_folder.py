"""Port: what else lies in a machine's folder, for people who look."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from galaxy_core.domain.ids import OrderId


@frozen(kw_only=True)
class DiskSpace:
    """Of the disk that the folder lies on."""

    free_bytes: int
    """What is left for this user."""
    total_bytes: int
    free_files: int | None = None
    """How many more files it can hold (inodes); None where it has no such limit."""
    total_files: int | None = None


class MachineFolder(Protocol):
    """Looks, and changes nothing.  Every method raises `StorageUnavailable` when it cannot look."""

    @abstractmethod
    async def space(self) -> DiskSpace:
        """How much room there is."""

    @abstractmethod
    async def files_of(self, order_id: OrderId) -> Sequence[str]:
        """Absolute paths of the plain files that came with the order, then of those made for it.

        By name; empty when there are none, or the id is none.
        """

    @abstractmethod
    async def health_log(self, limit: int) -> Sequence[str]:
        """The newest lines, oldest first, without their line breaks; empty when there is none.

        Memory use does not grow with the log.
        """
