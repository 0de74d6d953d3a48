"""The contract of `IncidentSink`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import anyio.to_thread
from attrs import frozen

from galaxy_core.domain.incident import Incident
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.testing.contracts.contract import Contract
from galaxy_core.testing.contracts.harness import Harness
from galaxy_core.testing.factories import make_incident


@frozen(kw_only=True)
class IncidentFeatures:
    """A sink for incidents has no choices."""


class IncidentHarness(Harness[IncidentSink]):
    """A sink, and a look at what became of what it was told."""

    @abstractmethod
    async def reported(self) -> Sequence[Incident]:
        """Everything that was taken note of so far; repeats may be left out."""


class IncidentSinkContract(Contract):
    """Everything that an `IncidentSink` owes the adapters that report to it."""

    features: ClassVar[IncidentFeatures] = IncidentFeatures()

    async def test_incidents_are_taken_note_of(self, harness: IncidentHarness) -> None:
        """Nothing that was reported is lost; the order of reports is kept."""
        sink = await harness.open()
        incidents = [make_incident(kind=f"kind_{number}") for number in range(3)]
        for incident in incidents:
            sink.report(incident)
        assert list(await harness.reported()) == incidents

    async def test_same_incident_may_be_told_again(self, harness: IncidentHarness) -> None:
        """A reporter that does not know whether it reported reports again."""
        sink = await harness.open()
        incident = make_incident()
        sink.report(incident)
        sink.report(incident)
        assert {found.key for found in await harness.reported()} == {incident.key}

    async def test_threads_may_report(self, harness: IncidentHarness) -> None:
        """Adapters meet trouble in worker threads too."""
        sink = await harness.open()
        incidents = [make_incident() for _ in range(20)]

        async def report(incident: Incident) -> None:
            await anyio.to_thread.run_sync(sink.report, incident)

        async with anyio.create_task_group() as group:
            for incident in incidents:
                group.start_soon(report, incident, name="report")
        assert {i.key for i in await harness.reported()} == {i.key for i in incidents}
