"""Port: a channel that knows how it gets on with its other side."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol, runtime_checkable

from galaxy_core.domain.operations import ChannelSign


@runtime_checkable
class Reporting(Protocol):
    """A channel whose other side lies beyond this host, so that the way there may break."""

    @abstractmethod
    def sign(self) -> ChannelSign:
        """How it is now; costs nothing, asks nobody.

        A way that broke shows as trouble within 15 seconds.
        """
