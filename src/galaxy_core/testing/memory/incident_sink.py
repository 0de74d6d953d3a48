"""Incidents, kept in memory."""

from __future__ import annotations

from attrs import define, field

from galaxy_core.domain.incident import Incident
from galaxy_core.ports.incident_sink import IncidentSink


@define(eq=False)
class MemoryIncidentSink(IncidentSink):
    """Everything that was reported, repeats included."""

    incidents: list[Incident] = field(factory=list)

    def report(self, incident: Incident) -> None:
        self.incidents.append(incident)

    @property
    def kinds(self) -> list[str]:
        """What was reported, repeats left out, in order."""
        return [incident.kind for incident in {i.key: i for i in self.incidents}.values()]
