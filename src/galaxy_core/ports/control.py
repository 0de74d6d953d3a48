"""Port: what people say to orders that wait or run."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import ControlCommand


class Control(Protocol):
    """Commands to orders; they outlive both the sender and the worker."""

    @abstractmethod
    async def send(self, command: ControlCommand) -> None:
        """Hand in a command; when this returns, it survives a power cut.

        Safe twice: the same cancellation, or an answer to the same request, replaces the one
        that waits.  Raises `StorageUnavailable`.
        """

    @abstractmethod
    async def pending(self, order_id: OrderId | None = None) -> Sequence[ControlCommand]:
        """Commands that nobody has carried out, oldest first; of one order or of all."""

    @abstractmethod
    async def done(self, command: ControlCommand) -> None:
        """It was carried out, or can never be: forget it.  Safe twice."""

    @abstractmethod
    async def wait(self, timeout: timedelta | None = None) -> bool:
        """Sleep until a command may have come in, or `timeout` has passed (then False)."""
