"""Every setting: its key in the file, unit, default, and why it is that.

Grouped by concern.  The file keeps the original's flat keys, so each attribute names its own key
(`key=`); an attribute without one is a group.  Times in the file are seconds.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from attrs import field, frozen

from galaxy_apps.settings.alerts import AlertSettings
from galaxy_apps.settings.channels import (
    PairingSettings,
    TelegramSettings,
    TranscriptionSettings,
    WebSettings,
)
from galaxy_apps.settings.keys import key
from galaxy_apps.settings.retention import RetentionSettings
from galaxy_apps.settings.secret import Secret
from galaxy_core.domain.people import Role
from galaxy_core.domain.policy import RecoveryPolicy


class DispatcherKind(enum.StrEnum):
    """Who carries orders out."""

    OPENCODE_SERVER = "opencode-server"
    """The HTTP API of `opencode serve`: streaming, questions, no order begun twice."""
    OPENCODE_CLI = "opencode-cli"
    """`opencode run` for each order: no server, at most `max_attempts` runs."""
    SCRIPTED = "scripted"
    """A small built-in demonstration that calls no model."""


class NetworkFolder(enum.StrEnum):
    """What to do with a `repo_path` on a network file system."""

    REFUSE = "refuse"
    """Locks and change notices cannot be trusted there: do not start."""
    POLL = "poll"
    """Go ahead and look for orders by the clock; at most one Hermes may use the folder."""


@frozen(kw_only=True)
class MachineSettings:
    """One machine that takes orders."""

    host: str = field(default="", metadata=key("host"))
    """Where it is: `localhost`, `127.0.0.1`, `::1`, nothing, or this host's name mean here."""
    repo_path: Path | None = field(default=None, metadata=key("repo_path"))
    """The folder whose `.sisyphus` holds its orders and in which its agent works.  `~` is the home
    folder, a relative path starts at the folder that holds `.galaxy`; none: that folder itself."""
    machine_name: str | None = field(default=None, metadata=key("machine_name"))
    """Another name under which orders may be addressed to it."""
    ssh_user: str | None = field(default=None, metadata=key("ssh_user"))
    """Kept for the gateway; Hermes does not use it."""


@frozen(kw_only=True)
class MachinesSettings:
    """Which machines there are."""

    machines: Mapping[str, MachineSettings] = field(factory=dict, metadata=key("machines"))
    """By name.  Empty: one machine, without a name of its own, that takes every order."""
    default_machine: str | None = field(
        default=None, metadata=key("default_machine", env="GALAXY_DEFAULT_MACHINE")
    )
    """Takes orders that name no machine."""
    legacy_name: str | None = field(default=None, metadata=key("machine_name"))
    """The original's form for a single machine; not together with `machines`."""
    legacy_repo_path: Path | None = field(default=None, metadata=key("repo_path"))
    """As `machine_name`."""


@frozen(kw_only=True)
class OpencodeSettings:
    """The agent."""

    url: str | None = field(default=None, metadata=key("url", env="OPENCODE_ATTACH_URL"))
    """Address of an `opencode serve` that somebody else runs; none: Hermes starts its own."""
    password: Secret | None = field(
        default=None, metadata=key("password", env="OPENCODE_SERVER_PASSWORD")
    )
    """Password of the server at `url`; the one that Hermes starts gets a password of its own."""
    bin: str | None = field(default=None, metadata=key("bin", env="GALAXY_OPENCODE_BIN"))
    """The executable; none: `opencode` on PATH, else `~/.opencode/bin/opencode`."""
    agent: str | None = field(default=None, metadata=key("agent", env="GALAXY_OPENCODE_AGENT"))
    """Agent for orders and conversations that choose none; none: opencode's own default."""
    model: str | None = field(default=None, metadata=key("model", env="GALAXY_OPENCODE_MODEL"))
    """Model as `provider/model`, in the same way; none: opencode's own default."""


@frozen(kw_only=True)
class LimitSettings:
    """When an order is refused and a run is given up."""

    payload_characters: int = field(default=10_000, metadata=key("payload_characters", minimum=1))
    """Longest text of an order; the original's bound."""
    silence: timedelta | None = field(
        default=timedelta(minutes=10), metadata=key("silence", minimum=1)
    )
    """Time without any sign of life from agent or provider.  Ten minutes: builds and test runs are
    quiet for a few; null: no limit."""
    steps: int | None = field(default=500, metadata=key("steps", minimum=1))
    """Model steps of one run, against loops that cost money; null: no limit."""
    unknown_finishes: int | None = field(default=20, metadata=key("unknown_finishes", minimum=1))
    """Steps in a row that ended without a reason: a provider that answers with rubbish."""


@frozen(kw_only=True)
class HermesSettings:
    """How orders are worked off."""

    dispatcher: DispatcherKind = field(
        default=DispatcherKind.OPENCODE_SERVER, metadata=key("dispatcher", env="GALAXY_DISPATCHER")
    )
    """Who carries orders out.  The server, because it can be asked about an order after a crash."""
    workers: int = field(
        default=4, metadata=key("workers", env="GALAXY_WORKERS", minimum=1, maximum=64)
    )
    """Conversations that run side by side; a turn of opencode needs about half a processor."""
    max_attempts: int = field(
        default=5, metadata=key("max_attempts", env="GALAXY_MAX_ATTEMPTS", minimum=1, maximum=100)
    )
    """Attempts at an order that fails for passing reasons, before it is given up.  Five ride out a
    server that restarts or is updated (2, 8, 32 and 128 seconds between them)."""
    recovery: RecoveryPolicy = field(
        default=RecoveryPolicy.CONTINUE, metadata=key("recovery", env="GALAXY_RECOVERY")
    )
    """A run that broke off: `continue` in the same session, `ask` the person, or `fail`."""
    executor_timeout: timedelta | None = field(
        default=None, metadata=key("executor_timeout", env="GALAXY_EXECUTOR_TIMEOUT", minimum=1)
    )
    """Total time of a run, waiting for people excluded.  None, since runs of hours are legitimate;
    `limits.silence` finds the ones that hang, `limits.steps` the ones that go in circles."""
    request_timeout: timedelta | None = field(
        default=timedelta(hours=1),
        metadata=key("request_timeout", env="GALAXY_REQUEST_TIMEOUT", minimum=1),
    )
    """How long a permission request or a question waits for a person.  Then it is rejected, the
    agent is told that nobody answered, and goes on.  null: for ever."""
    poll_interval: timedelta = field(
        default=timedelta(seconds=30),
        metadata=key("poll_interval", env="GALAXY_POLL_INTERVAL", minimum=1),
    )
    """Longest time between two looks at the folder.  Orders are noticed at once; this is the safety
    net, and the pace on a network folder."""
    drain_timeout: timedelta = field(
        default=timedelta(seconds=30),
        metadata=key("drain_timeout", env="GALAXY_DRAIN_TIMEOUT", minimum=0),
    )
    """How long running orders may go on after a stop was asked for.  With the server nothing is
    lost when it is short: the agent goes on, and the next Hermes fetches the answer."""
    prompt_context: bool = field(
        default=False, metadata=key("prompt_context", env="GALAXY_PROMPT_CONTEXT")
    )
    """Whether who asked, through which channel, and the project's preamble go into the system
    prompt.  Off: what a person writes reaches the agent as it is, with nothing around it."""
    file_outbox: bool = field(default=True, metadata=key("file_outbox"))
    """Whether an agent that works for somebody in a chat is told a folder whose files go back with
    the answer.  One line of the system prompt; orders from files never have it."""
    network_folder: NetworkFolder = field(
        default=NetworkFolder.REFUSE, metadata=key("network_folder", env="GALAXY_NETWORK_FOLDER")
    )
    """A `repo_path` on NFS and the like: `refuse`, or `poll`."""
    demo: bool = field(default=False, metadata=key("demo"))
    """Whether the model behind the agent is a scripted one, so that answers are labelled as a
    demonstration.  For `make demo`; nobody else needs it."""


@frozen(kw_only=True)
class ProjectSettings:
    """One project on a machine, chosen by an order's `project`."""

    keywords: tuple[str, ...] = field(default=(), metadata=key("keywords"))
    """Words in a message that mean this project; used by channels."""
    repo_path: Path | None = field(default=None, metadata=key("repo_path"))
    """Folder in which the agent works; none: the machine's."""
    preamble: str | None = field(default=None, metadata=key("preamble"))
    """Goes into the system prompt where `prompt_context` is on, never into the order."""
    agent: str | None = field(default=None, metadata=key("agent"))
    """As `opencode.agent`, for this project."""
    model: str | None = field(default=None, metadata=key("model"))
    """As `opencode.model`, for this project."""


@frozen(kw_only=True)
class AuditSettings:
    """The audit trail."""

    rotate_megabytes: int = field(default=64, metadata=key("rotate_megabytes", minimum=1))
    """Size at which a new file is begun (the chain goes on in it).  64 MB are about 200,000 lines:
    rarely a second file, and one that an editor still opens.  Nothing is ever deleted."""
    anchor: bool = field(default=True, metadata=key("anchor"))
    """Whether the gateway writes the head of each trail to the owners once a day: a trail whose end
    was cut off, or that was made anew, is found by it.  In a chat it is out of this machine's
    reach, at the cost of one short message a day."""
    anchor_file: Path | None = field(default=None, metadata=key("anchor_file"))
    """File to which the same heads are added, for a disk or a mount that others cannot write;
    relative paths begin at the folder that holds `.galaxy`.  None: no file."""


@frozen(kw_only=True)
class SecuritySettings:
    """What is kept from leaving, and from coming in."""

    mask_secrets: bool = field(default=True, metadata=key("mask_secrets"))
    """Whether tokens, keys and passwords are masked in what goes to chats and into the trail.
    Answers and letters on this machine's disk, and orders to the agent, stay as they are."""
    order_group: str | None = field(default=None, metadata=key("order_group"))
    """Group of this machine's users whose files are taken as orders too.  None: orders are taken
    from files of the user that Hermes runs as, and of root, alone."""


@frozen(kw_only=True)
class Settings:
    """All that can be set; made by `load_settings`."""

    telegram: TelegramSettings = field(factory=TelegramSettings)
    roles: Mapping[str, Role] = field(factory=dict, metadata=key("roles"))
    """What people on a list of authorised users are, by id; owners where it says nothing."""
    pairing: PairingSettings = field(factory=PairingSettings, metadata=key("pairing"))
    transcription: TranscriptionSettings = field(
        factory=TranscriptionSettings, metadata=key("transcription")
    )
    machines: MachinesSettings = field(factory=MachinesSettings)
    hermes: HermesSettings = field(factory=HermesSettings)
    opencode: OpencodeSettings = field(factory=OpencodeSettings, metadata=key("opencode"))
    limits: LimitSettings = field(factory=LimitSettings, metadata=key("limits"))
    web: WebSettings = field(factory=WebSettings, metadata=key("web"))
    audit: AuditSettings = field(factory=AuditSettings, metadata=key("audit"))
    security: SecuritySettings = field(factory=SecuritySettings, metadata=key("security"))
    alerts: AlertSettings = field(factory=AlertSettings, metadata=key("alerts"))
    retention: RetentionSettings = field(factory=RetentionSettings, metadata=key("retention"))
    projects: Mapping[str, ProjectSettings] = field(factory=dict, metadata=key("projects"))
    """By name."""

    def secrets(self) -> tuple[str, ...]:
        """Every secret in plain text, for the log's redaction."""
        webhook = self.telegram.bot.webhook
        wrapped = (
            self.telegram.token,
            self.opencode.password,
            self.transcription.api_key,
            self.web.token,
            self.web.password,
            self.alerts.url,
            self.alerts.token,
            webhook.secret if webhook else None,
        )
        return tuple(secret.reveal() for secret in wrapped if secret is not None)
