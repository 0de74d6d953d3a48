"""What people and programs are told of the whole: machines, orders over time, one order's way."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import field, frozen

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.operations import Heartbeat, OrderView, Progress
from galaxy_core.domain.response import Outcome, Response
from galaxy_core.domain.state import OrderState


class Level(enum.StrEnum):
    """How something is."""

    WELL = "well"
    DOUBTFUL = "doubtful"
    """It works; somebody should look."""
    UNWELL = "unwell"
    """It does not work."""


@frozen(kw_only=True)
class Finding:
    """One thing that is not as it should be."""

    level: Level
    what: str
    """One sentence."""
    remedy: str = ""
    """What to do about it, in one sentence."""
    machine: str | None = None


@frozen(kw_only=True)
class MachineInsight:
    """One machine now.  Made without looking at every order that ever was."""

    name: str
    level: Level
    heartbeat: Heartbeat | None
    counts: Mapping[OrderState, int]
    """All orders, ended ones included."""
    oldest_waiting: timedelta | None = None
    """Age of the order that has waited longest, those that wait for a time left out."""
    outbox: int = 0
    """Letters that wait."""
    undeliverable: int = 0
    disk_free_bytes: int = 0
    disk_total_bytes: int = 0


@frozen(kw_only=True)
class Overview:
    """Everything at a glance."""

    at: datetime
    level: Level
    """The worst of all findings."""
    findings: tuple[Finding, ...]
    """The worst first."""
    machines: tuple[MachineInsight, ...]
    is_gateway_up: bool | None = None
    """None where there is no gateway to be up."""


@frozen(kw_only=True)
class LiveOrder:
    """An order that waits or runs."""

    machine: str
    view: OrderView
    progress: Progress | None = None
    is_fresh: bool = True
    """False of one of very many waiting orders: it waited half a minute ago, and may be over."""


@frozen(kw_only=True)
class Slot:
    """One piece of time in a chart."""

    begins: datetime
    ended: Mapping[Outcome, int] = field(factory=dict)
    run_seconds_p50: float | None = None
    run_seconds_p95: float | None = None
    tokens: int = 0
    cost_usd: float = 0.0


@frozen(kw_only=True)
class Histogram:
    """Durations that were counted: cumulative counts by upper bound in seconds, as Prometheus."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    """One longer than `bounds`: the last is everything."""
    total_seconds: float


@frozen(kw_only=True)
class Figures:
    """What can be counted, since the trail began."""

    orders: Mapping[tuple[str, OrderState], int]
    """By machine and state."""
    oldest_waiting: Mapping[str, timedelta]
    """By machine."""
    run_seconds: Histogram
    delivery_seconds: Histogram
    """From the end of an order to the receipt of its letter."""
    events: Mapping[str, int]
    """How often each event type stands in the trail."""
    is_agent_up: Mapping[str, bool]
    """By machine: whether its Hermes gives signs of life."""


@frozen(kw_only=True)
class Timeline:
    """One order, from receipt to delivery."""

    machine: str
    view: OrderView
    events: tuple[AuditEvent, ...]
    """Every line of the trail about it, oldest first; those of the gateway included."""
    response: Response | None = None
    progress: Progress | None = None
    files: tuple[str, ...] = ()
    """Paths of files that came with it or were made for the person."""


@frozen(kw_only=True)
class AuditPage:
    """Some lines of the trail."""

    events: tuple[tuple[str, AuditEvent], ...]
    """Machine and line, newest first."""
    cursor: str | None = None
    """What gives the next page; None at the end."""
