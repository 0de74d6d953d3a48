"""Port: the time."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Time of day, and time that only goes forward."""

    follows_event_loop: bool = False
    """Whether `sleep` and a deadline of the event loop mean the same.

    Who waits for something with a limit may use such a deadline then, which is quicker than a
    task that sleeps.  False for a clock that is moved by hand.
    """

    @abstractmethod
    def now(self) -> datetime:
        """The time of day, aware, in UTC.  May jump."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    @abstractmethod
    async def sleep(self, duration: timedelta) -> None:
        """Return when `duration` has passed on the monotonic side."""
