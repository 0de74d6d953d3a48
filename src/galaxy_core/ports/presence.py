"""Port: the sign of life of a daemon."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from galaxy_core.domain.operations import Heartbeat


class Presence(Protocol):
    """Where Hermes says that it lives."""

    @abstractmethod
    async def beat(self, heartbeat: Heartbeat) -> None:
        """Replace the last sign of life; readers see the old or the new one, whole.

        Not durable, and raises nothing when it cannot be written: a heartbeat that stops *is*
        the message.
        """

    @abstractmethod
    async def read(self) -> Heartbeat | None:
        """The last sign of life; None when there never was one or it cannot be read."""
