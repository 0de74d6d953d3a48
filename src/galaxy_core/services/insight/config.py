"""The ports that insight works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from attrs import frozen

from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.trail_index import TrailIndex
from galaxy_core.services.gateway.config import MachinePorts


@frozen(kw_only=True)
class TrailSource:
    """One trail that the index is fed from."""

    name: str
    """Its path, say: what it is known by in the index, for ever."""
    machine: str
    """Whose lines those are that name no machine."""
    trail: AuditTrail


async def _nobody_knows() -> bool | None:
    return None


@frozen(kw_only=True)
class InsightPorts:
    """Everything outside that insight looks at."""

    machines: Mapping[str, MachinePorts]
    """By name, the default one first; never empty."""
    outboxes: Mapping[str, Outbox]
    """By machine."""
    folders: Mapping[str, MachineFolder]
    """By machine."""
    trails: Sequence[TrailSource]
    """Every trail once: those of the machines, and the gateway's own."""
    index: TrailIndex
    clock: Clock
    alerts: Sequence[AlertBook] = ()
    """What the watchers have noticed."""
    is_gateway_up: Callable[[], Awaitable[bool | None]] = _nobody_knows
    """None: there is no gateway to be up."""
