"""Port: an agent that can hang, and be brought round."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from galaxy_core.domain.run import DispatcherHealth


@runtime_checkable
class AgentCare(Protocol):
    """A dispatcher with something behind it that must be looked after."""

    @abstractmethod
    async def look(self) -> DispatcherHealth | None:
        """How it is; None where nothing runs yet.

        That is so until something was needed for the first time and has come up, or could not.

        Starts nothing, never raises, answers within seconds.
        """

    @abstractmethod
    async def revive(self) -> None:
        """It was seen not to answer: make sure, and replace it if it is stuck.

        May take a minute, never raises.  Safe twice and concurrently; starts nothing where
        nothing runs.  What ran in it breaks off: those who follow a run hear so, and may go on.
        """
