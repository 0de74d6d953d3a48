"""Machines, and whether everything is well, as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from attrs import frozen

from galaxy_adapters.http_api.documents import seconds
from galaxy_core.domain.insight import Finding, Level, MachineInsight, Overview
from galaxy_core.domain.state import OrderState


@frozen(kw_only=True)
class StatusDocument:
    """The original's status, with true values."""

    pending: Annotated[int, "Orders that wait or run."]
    processed: Annotated[int, "Orders that ended, however they ended."]
    failed: Annotated[int, "Those of them that failed, expired, or were given up."]
    uptime_human: Annotated[str, "How long Hermes has run; `N/A` when it does not."]
    opencode_healthy: Annotated[
        bool, "Whether Hermes takes orders, and its agent answers or can be started."
    ]
    galaxy_mcp_running: Annotated[bool, "False: there is no such daemon any more."]
    disk_usage: Annotated[str, "Used part of the disk, as `26%`."]
    outbox_count: Annotated[int, "Letters that wait to be delivered."]
    machine: str
    timestamp: Annotated[str, "Time of day in UTC, as `12:34:56`."]


@frozen(kw_only=True)
class FindingDocument:
    """One thing that is not as it should be."""

    level: Level
    what: str
    remedy: Annotated[str, "What to do about it."]
    machine: str | None

    @classmethod
    def of(cls, finding: Finding) -> FindingDocument:
        """From the core's value."""
        return cls(
            level=finding.level, what=finding.what, remedy=finding.remedy, machine=finding.machine
        )


@frozen(kw_only=True)
class MachineDocument:
    """One machine now."""

    name: str
    level: Level
    status: Annotated[str | None, "What Hermes said last: `running`, `draining`, `stopped`."]
    started_at: datetime | None
    last_heartbeat_at: datetime | None
    version: str | None
    dispatcher: str | None
    orders: Annotated[Mapping[str, int], "How many there are in each state, ended ones included."]
    oldest_waiting_s: float | None
    outbox: Annotated[int, "Letters that wait to be delivered."]
    undeliverable: int
    disk_free_bytes: int
    disk_total_bytes: int

    @classmethod
    def of(cls, machine: MachineInsight) -> MachineDocument:
        """From the core's value."""
        beat = machine.heartbeat
        return cls(
            name=machine.name,
            level=machine.level,
            status=beat.status if beat else None,
            started_at=beat.started_at if beat else None,
            last_heartbeat_at=beat.last_heartbeat_at if beat else None,
            version=beat.version if beat else None,
            dispatcher=beat.dispatcher if beat else None,
            orders={state.value: machine.counts.get(state, 0) for state in OrderState},
            oldest_waiting_s=seconds(machine.oldest_waiting),
            outbox=machine.outbox,
            undeliverable=machine.undeliverable,
            disk_free_bytes=machine.disk_free_bytes,
            disk_total_bytes=machine.disk_total_bytes,
        )


@frozen(kw_only=True)
class MachineList:
    """Every machine served here, the default one first."""

    machines: tuple[MachineDocument, ...]


@frozen(kw_only=True)
class OverviewDocument:
    """Whether everything is well, and if not, what to do."""

    at: datetime
    level: Annotated[Level, "The worst of all findings."]
    findings: Annotated[tuple[FindingDocument, ...], "The worst first."]
    machines: tuple[MachineDocument, ...]
    is_gateway_up: Annotated[bool | None, "Null where there is no gateway to be up."]

    @classmethod
    def of(cls, overview: Overview) -> OverviewDocument:
        """From the core's value."""
        return cls(
            at=overview.at,
            level=overview.level,
            findings=tuple(FindingDocument.of(each) for each in overview.findings),
            machines=tuple(MachineDocument.of(each) for each in overview.machines),
            is_gateway_up=overview.is_gateway_up,
        )


@frozen(kw_only=True)
class HealthDocument:
    """A sign of life."""

    status: str
