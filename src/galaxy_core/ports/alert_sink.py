"""Port: a way to people that does not go through our own gateway."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from galaxy_core.domain.health import Alert


class AlertSink(Protocol):
    """Takes alerts when letters may not get out."""

    @abstractmethod
    async def send(self, alert: Alert) -> None:
        """Hand it over; answers within ten seconds.  Not safe twice: it is told twice then.

        Raises `TransientError` when it may work later, `PermanentError` when it never will.
        """
