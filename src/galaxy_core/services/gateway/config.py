"""What the gateway is told about itself, and the ports it works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import field, frozen

from galaxy_core.domain.people import Person
from galaxy_core.domain.policy import HEARTBEAT_EVERY, OrderLimits, Staleness
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import CommandMenu
from galaxy_core.ports.control import Control
from galaxy_core.ports.note_store import NoteStore
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.presence import Presence
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.ports.reporting import Reporting
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.session_store import SessionStore
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.services.anchoring import AnchorDesk
from galaxy_core.services.courier import Mailbox
from galaxy_core.services.desk import OrderDesk
from galaxy_core.services.trail import Trail
from galaxy_core.wire.layout import Layout


@frozen(kw_only=True)
class GatewayConfig:
    """How one gateway works."""

    home: str
    """Name of the place that it speaks from, for letters and the trail."""
    other_machines: frozenset[str] = frozenset()
    """Names (casefolded) of machines that are known and served by no Hermes here."""
    people: tuple[Person, ...] = ()
    """Those whom the settings name; others are let in by pairing."""
    groups: frozenset[tuple[str, str]] = frozenset()
    """Channel and chat id of the groups in which people are heard."""
    staleness: Staleness = field(factory=Staleness)
    order_limits: OrderLimits = field(factory=OrderLimits)
    orders_per_minute: int = 20
    """Of one person: more than anybody types, less than a loop sends."""
    waiting_orders: int = 50
    """Of one person, on one machine."""
    projects: Mapping[str, tuple[str, ...]] = field(factory=dict)
    """Names of projects, with the words that mean them."""
    pairing_time: timedelta = timedelta(minutes=10)
    """How long a pairing code is good for."""
    status_after: timedelta = timedelta(seconds=1)
    """How long an order may take before its status is shown."""
    typing_every: timedelta = timedelta(seconds=4)
    """Telegram shows it for five seconds."""
    default_channel: str = "telegram"
    """For letters that name a chat and no channel, as the original wrote them."""
    stop_deadline: timedelta = timedelta(seconds=5)
    """How long, in real time, a sending that was begun may take while the gateway stops; one that
    is cut short is repeated once, marked."""
    heartbeat_every: timedelta = HEARTBEAT_EVERY
    has_drafts: bool = True
    """Whether the answer is shown while it is written, where the channel can."""


@frozen(kw_only=True)
class MachinePorts:
    """One machine whose folder is here and whose orders a Hermes here works off."""

    name: str
    names: frozenset[str]
    """Names (casefolded) under which people may call it, `name` included."""
    layout: Layout
    desk: OrderDesk
    catalogue: OrderCatalogue
    responses: ResponseStore
    sessions: SessionStore
    control: Control
    progress: ProgressFeed
    presence: Presence
    audit_trail: AuditTrail
    trail: Trail
    """For writing."""


@frozen(kw_only=True)
class GatewayPorts:
    """Everything outside that the gateway talks to."""

    channels: Mapping[str, Channel]
    """By name."""
    machines: Mapping[str, MachinePorts]
    """By name, the default one first; never empty."""
    mailboxes: Sequence[Mailbox]
    """Whose letters are delivered; the first is the gateway's own, with its own trail."""
    notes: NoteStore
    clock: Clock
    menus: Mapping[str, CommandMenu] = field(factory=dict)
    """By channel."""
    transcriber: Transcriber | None = None
    reports: Mapping[str, Reporting] = field(factory=dict)
    """Channels, by name, that know how they get on with their other side."""
    presences: Sequence[Presence] = ()
    """Where the gateway says that it lives: in each folder that it serves."""
    home_trail: AuditTrail | None = None
    """The gateway's own trail, for reading; None where it is one of the machines'."""
    anchors: AnchorDesk | None = None
    """Writes the heads of the trails down, where that is wanted."""

    @property
    def outbox(self) -> Outbox:
        """Where the gateway posts what it says itself."""
        return self.mailboxes[0].outbox

    @property
    def default_machine(self) -> MachinePorts:
        """The one that takes orders of conversations which have chosen none."""
        return next(iter(self.machines.values()))

    @property
    def folders(self) -> Sequence[MachinePorts]:
        """One machine of each folder: those that share one have the same orders."""
        return [m for m in self.machines.values() if self.sharing(m)[0] is m]

    def sharing(self, machine: MachinePorts) -> Sequence[MachinePorts]:
        """The machines that have this one's folder, itself among them."""
        folder = machine.layout.repo_path
        return [m for m in self.machines.values() if m.layout.repo_path == folder]

    def find_machine(self, name: str) -> MachinePorts | None:
        """The machine that people call so; None when none of those here is."""
        wanted = name.casefold()
        return next((m for m in self.machines.values() if wanted in m.names), None)
