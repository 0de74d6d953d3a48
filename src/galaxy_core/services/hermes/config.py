"""What Hermes is told about itself, and the ports it works with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from attrs import field, frozen

from galaxy_core.domain.policy import (
    HEARTBEAT_EVERY,
    OrderLimits,
    RecoveryPolicy,
    RetryPolicy,
)
from galaxy_core.domain.run import RunLimits
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.dispatcher import Dispatcher
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.presence import Presence
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.ports.session_store import SessionStore


@frozen(kw_only=True)
class ProjectConfig:
    """One project on the machine, chosen by an order's `project`."""

    directory: Path | None = None
    """Folder in which the agent works; None: the machine's own."""
    preamble: str | None = None
    """Goes into the system prompt, never into the order."""
    agent: str | None = None
    model: str | None = None


@frozen(kw_only=True)
class HermesConfig:
    """How one Hermes works.  Every number has a default that suits one person's machine."""

    machine: str
    directory: Path
    """The machine's `repo_path`, where the agent works."""
    names: frozenset[str] | None = None
    """Names (casefolded) under which orders reach this machine; None: it was never given a
    name, so every target is taken for it."""
    workers: int = 4
    """Conversations that run side by side; an opencode turn needs about half a core."""
    retry: RetryPolicy = field(factory=lambda: RetryPolicy(max_attempts=5, factor=4.0))
    """Waits 2, 8, 32 and 128 s: rides out a server that restarts or is updated."""
    order_limits: OrderLimits = field(factory=OrderLimits)
    run_limits: RunLimits = field(factory=RunLimits)
    recovery: RecoveryPolicy = RecoveryPolicy.CONTINUE
    request_timeout: timedelta | None = timedelta(hours=1)
    """How long a permission request or a question waits for a person; then it is rejected, the
    agent is told that nobody answered, and goes on.  None: for ever."""
    renew_every: timedelta = timedelta(seconds=5)
    """Lease renewals; the file queue's lease is 30 s, so five in a row may be missed."""
    heartbeat_every: timedelta = HEARTBEAT_EVERY
    rescan_every: timedelta = timedelta(seconds=30)
    """Longest sleep between two looks at the queue, should a wake-up get lost."""
    drain_budget: timedelta = timedelta(seconds=30)
    """How long running orders may go on after a stop was asked for."""
    cancel_budget: timedelta = timedelta(seconds=30)
    """How long a cancelled run may take to end before it is answered without it."""
    stop_deadline: timedelta = timedelta(seconds=10)
    """How long, in real time, the end of an order may take to be written while Hermes stops."""
    tells_who_asked: bool = False
    """Whether sender, channel and project preamble go into the system prompt."""
    warms_up: bool = False
    """Whether the agent is asked at the start how it is: one that has to be started (opencode's
    server, some seconds) is then there before the first order is."""
    is_demo: bool = False
    """Whether the agent answers from a script instead of a model; every answer then says so."""
    projects: Mapping[str, ProjectConfig] = field(factory=dict)


@frozen(kw_only=True)
class HermesPorts:
    """Everything outside that Hermes talks to."""

    queue: OrderQueue
    catalogue: OrderCatalogue
    responses: ResponseStore
    outbox: Outbox
    journal: RunJournal
    sessions: SessionStore
    control: Control
    progress: ProgressFeed
    audit: AuditSink
    presence: Presence
    dispatcher: Dispatcher
    clock: Clock
    files: OrderFiles | None = None
    """None: agents are told no folder for files to people."""
