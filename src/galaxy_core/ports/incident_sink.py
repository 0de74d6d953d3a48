"""Port: where adapters tell of things that a person should hear of."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from galaxy_core.domain.incident import Incident


class IncidentSink(Protocol):
    """Receives incidents; safe from any thread."""

    @abstractmethod
    def report(self, incident: Incident) -> None:
        """Take note of it.  Returns at once, never raises, may be told the same one again."""
