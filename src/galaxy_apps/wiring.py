"""The composition root: settings in, services with their adapters out.

Every adapter is imported where it is made: `galaxy order list` must not pay for an HTTP client.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from galaxy_apps.late import IncidentRelay, LaterControl
from galaxy_apps.settings import (
    DispatcherKind,
    Machine,
    NetworkFolder,
    Settings,
    SettingsError,
    environment,
)
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.wire.layout import Layout

if TYPE_CHECKING:
    from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, Trust
    from galaxy_adapters.sessions_json import JsonSessionStore
    from galaxy_core.ports.audit_sink import AuditSink
    from galaxy_core.ports.audit_trail import AuditTrail
    from galaxy_core.ports.clock import Clock
    from galaxy_core.ports.control import Control
    from galaxy_core.ports.dispatcher import Dispatcher
    from galaxy_core.ports.inventory import Inventory
    from galaxy_core.ports.order_catalogue import OrderCatalogue
    from galaxy_core.ports.order_files import OrderFiles
    from galaxy_core.ports.outbox import Outbox
    from galaxy_core.ports.presence import Presence
    from galaxy_core.ports.progress_feed import ProgressFeed
    from galaxy_core.ports.response_store import ResponseStore
    from galaxy_core.ports.run_journal import RunJournal
    from galaxy_core.services.desk import OrderDesk

MEGABYTE = 1_000_000


@define
class Place:
    """One machine's folder as the settings describe it: makes its adapters."""

    settings: Settings
    machine: Machine
    incidents: IncidentRelay = field(factory=IncidentRelay)
    environ: Mapping[str, str] = field(factory=environment, repr=False)
    """What agents are started with."""

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.machine.repo_path)

    @property
    def is_polling(self) -> bool:
        """Whether the folder is looked at by the clock."""
        return self.settings.hermes.network_folder is NetworkFolder.POLL

    def clock(self) -> Clock:
        """The machine's clock."""
        from galaxy_adapters.clock_system import SystemClock

        return SystemClock()

    def queue(self) -> FilesystemOrderQueue:
        """The queue; it claims only inside `async with`, and enqueues at any time."""
        from galaxy_adapters.queue_filesystem import FilesystemOrderQueue

        return FilesystemOrderQueue(
            self.layout,
            machine=self.machine.name,
            clock=self.clock(),
            incidents=self.incidents,
            control=self.control(),
            names=self.machine.names or (),
            others=self.machine.others,
            is_polling=self.is_polling,
            trust=self.trust(),
        )

    def trust(self) -> Trust:
        """Whose files are orders.  Raises `SettingsError` for a group that does not exist."""
        import grp

        from galaxy_adapters.queue_filesystem import Trust

        name = self.settings.security.order_group
        if name is None:
            return Trust()
        try:
            return Trust(group=int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid)
        except KeyError:
            problem = f"security.order_group: this machine has no group {name!r}"
            raise SettingsError(problem) from None

    def catalogue(self) -> OrderCatalogue:
        """All orders, for people."""
        from galaxy_adapters.queue_filesystem import FilesystemOrderCatalogue

        return FilesystemOrderCatalogue(
            self.layout,
            machine=self.machine.name,
            clock=self.clock(),
            control=LaterControl(self.control),
        )

    def responses(self) -> ResponseStore:
        """The responses."""
        from galaxy_adapters.responses_filesystem import FilesystemResponseStore

        return FilesystemResponseStore(self.layout)

    def outbox(self) -> Outbox:
        """Letters to people."""
        from galaxy_adapters.outbox_filesystem import FilesystemOutbox

        return FilesystemOutbox(
            self.layout, self.clock(), self.incidents, is_polling=self.is_polling
        )

    def journal(self) -> RunJournal:
        """What was written down about runs."""
        from galaxy_adapters.journal_filesystem import FilesystemRunJournal

        return FilesystemRunJournal(self.layout)

    def sessions(self) -> JsonSessionStore:
        """Conversations and their agent sessions."""
        from galaxy_adapters.sessions_json import JsonSessionStore

        own = ConversationKey(f"machine:{self.machine.name}")
        return JsonSessionStore(self.layout, self.clock(), self.incidents, own)

    def control(self) -> Control:
        """People's commands to orders."""
        from galaxy_adapters.control_filesystem import FilesystemControl

        return FilesystemControl(
            self.layout, self.clock(), self.incidents, is_polling=self.is_polling
        )

    def progress(self) -> ProgressFeed:
        """How running orders get on."""
        from galaxy_adapters.progress_filesystem import FilesystemProgressFeed

        return FilesystemProgressFeed(self.layout, self.clock(), is_polling=self.is_polling)

    def order_files(self) -> OrderFiles:
        """Files that belong to orders."""
        from galaxy_adapters.order_files_filesystem import FilesystemOrderFiles

        return FilesystemOrderFiles(self.layout)

    def presence(self) -> Presence:
        """Hermes' sign of life."""
        from galaxy_adapters.presence_json import JsonPresence

        return JsonPresence(self.layout)

    def inventory(self) -> Inventory:
        """What lies in the folder, by name."""
        from galaxy_adapters.inventory_filesystem import FilesystemInventory

        return FilesystemInventory(self.layout)

    def audit_sink(self) -> AuditSink:
        """The audit trail, for writing."""
        from galaxy_adapters.audit_jsonl import JsonlAuditSink

        megabytes = self.settings.audit.rotate_megabytes
        sink = JsonlAuditSink(self.layout.audit_log, rotate_bytes=megabytes * MEGABYTE)
        return masked_sink(sink, self.settings)

    def audit_trail(self, anchors: Sequence[str] = ()) -> AuditTrail:
        """The audit trail, for reading."""
        from galaxy_adapters.audit_jsonl import JsonlAuditTrail

        return JsonlAuditTrail(self.layout.audit_log, anchors=anchors, is_polling=self.is_polling)

    def dispatcher(self, *, is_service: bool = True) -> AbstractAsyncContextManager[Dispatcher]:
        """The agent; an opencode server of our own outlives a service, not a single command."""
        opencode = self.settings.opencode
        match self.settings.hermes.dispatcher:
            case DispatcherKind.SCRIPTED:
                from galaxy_adapters.dispatch_scripted import ScriptedDispatcher

                file = self.layout.state / "scripted-agent.json"
                return nullcontext(ScriptedDispatcher(self.clock(), file))
            case DispatcherKind.OPENCODE_CLI:
                from galaxy_adapters.dispatch_opencode_cli import (
                    OpencodeCliDispatcher,
                    OpencodeCliSettings,
                )

                return nullcontext(
                    OpencodeCliDispatcher(
                        state=self.layout.state / "opencode-cli",
                        environment=self.environ,
                        clock=self.clock(),
                        settings=OpencodeCliSettings(
                            binary=opencode.bin, agent=opencode.agent, model=opencode.model
                        ),
                    )
                )
            case DispatcherKind.OPENCODE_SERVER:
                return self._server_dispatcher(is_service=is_service)

    def _server_dispatcher(self, *, is_service: bool) -> AbstractAsyncContextManager[Dispatcher]:
        from galaxy_adapters.dispatch_opencode_server import (
            Endpoint,
            GivenServer,
            OpencodeDefaults,
            OpencodeServerDispatcher,
            OwnServer,
            OwnServerSettings,
        )

        opencode = self.settings.opencode
        if opencode.url is not None:
            password = opencode.password.reveal() if opencode.password else None
            servers: GivenServer | OwnServer = GivenServer(Endpoint(opencode.url, password))
        else:
            servers = OwnServer(
                OwnServerSettings(
                    machine=self.machine.repo_path,
                    environment=self.environ,
                    binary=opencode.bin,
                    outlives_us=is_service,
                )
            )
        defaults = OpencodeDefaults(agent=opencode.agent, model=opencode.model)
        return OpencodeServerDispatcher(servers, clock=self.clock(), defaults=defaults)


def masked_sink(sink: AuditSink, settings: Settings) -> AuditSink:
    """The trail's writer, without secrets where the settings want it so."""
    from galaxy_core.services.masking import MaskingAuditSink

    mask = secret_mask(settings)
    return sink if mask is None else MaskingAuditSink(sink, mask)


def secret_mask(settings: Settings) -> Callable[[str], str] | None:
    """What takes secrets out of texts; None where the settings do not want it."""
    from galaxy_core.domain.secrets import SecretMask

    return SecretMask(settings.secrets()) if settings.security.mask_secrets else None


def is_demo(settings: Settings) -> bool:
    """Whether no real model answers: every answer and page says so then."""
    return settings.hermes.demo or settings.hermes.dispatcher is DispatcherKind.SCRIPTED


def require_agent(settings: Settings, environ: Mapping[str, str]) -> Path | None:
    """The opencode that is run here; None where none is.

    Says at the start that it is missing, not at the first order: `DispatcherUnavailable`.
    """
    kind = settings.hermes.dispatcher
    is_elsewhere = kind is DispatcherKind.OPENCODE_SERVER and settings.opencode.url is not None
    if kind is DispatcherKind.SCRIPTED or is_elsewhere:
        return None
    from galaxy_adapters._opencode import find_opencode

    return find_opencode(settings.opencode.bin, environ)


@asynccontextmanager
async def open_desk(place: Place, audit: AuditSink) -> AsyncIterator[OrderDesk]:
    """The desk that hands in, ends and retries orders; it is a worker while the context lasts."""
    from galaxy_core.services.desk import OrderDesk

    async with place.queue() as queue:
        yield OrderDesk(
            queue=queue,
            catalogue=place.catalogue(),
            responses=place.responses(),
            outbox=place.outbox(),
            journal=place.journal(),
            control=place.control(),
            audit=audit,
            clock=place.clock(),
            machine=place.machine.name,
        )


@asynccontextmanager
async def build_desk(place: Place) -> AsyncIterator[OrderDesk]:
    """A desk for a single command, which puts the adapters' incidents on record as well."""
    from galaxy_core.services.trail import IncidentDesk, Trail

    clock, audit = place.clock(), place.audit_sink()
    incidents = IncidentDesk(
        Trail(audit, clock, place.machine.name), place.outbox(), clock, place.machine.name
    )
    place.incidents.hand_on_to(incidents)
    async with open_desk(place, audit) as desk:
        yield desk
        await incidents.flush()
