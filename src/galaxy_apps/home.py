"""The folder that holds `.galaxy`, where the gateway keeps its own records: makes its adapters."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from attrs import define, field

from galaxy_apps.late import IncidentRelay
from galaxy_apps.settings import Configuration, NetworkFolder
from galaxy_apps.wiring import masked_sink
from galaxy_core.domain.people import Person, Role
from galaxy_core.wire.layout import Layout

if TYPE_CHECKING:
    from galaxy_adapters.notes_sqlite import SqliteNoteStore
    from galaxy_core.ports.audit_sink import AuditSink
    from galaxy_core.ports.audit_trail import AuditTrail
    from galaxy_core.ports.clock import Clock
    from galaxy_core.ports.outbox import Outbox
    from galaxy_core.services.gateway.pairing import PairingDesk
    from galaxy_core.services.gateway.roster import Roster
    from galaxy_core.services.trail import Trail

MEGABYTE = 1_000_000
NAME = "gateway"
"""What the gateway calls itself in the trail and in letters."""
TELEGRAM, WEB = "telegram", "web"
WEB_OWNER = "owner"
"""Who comes by the printed address, or with the password where the settings name nobody."""


@define
class Home:
    """The gateway's own place; it may be a machine's folder as well."""

    configuration: Configuration
    incidents: IncidentRelay = field(factory=IncidentRelay)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.configuration.folder.resolve())

    def is_meant(self, machine: str | None) -> bool:
        """Whether `--machine` names the gateway's own folder."""
        return machine == NAME and NAME not in self.configuration.settings.machines.machines

    @property
    def is_polling(self) -> bool:
        """Whether the folder is looked at by the clock."""
        return self.configuration.settings.hermes.network_folder is NetworkFolder.POLL

    def clock(self) -> Clock:
        """The host's clock."""
        from galaxy_adapters.clock_system import SystemClock

        return SystemClock()

    def notes(self) -> SqliteNoteStore:
        """What the gateway has to remember; open it with `async with`."""
        from galaxy_adapters.notes_sqlite import SqliteNoteStore

        return SqliteNoteStore(self.layout.gateway_notes, self.clock(), self.incidents)

    def outbox(self) -> Outbox:
        """Where the gateway posts what it says itself."""
        from galaxy_adapters.outbox_filesystem import FilesystemOutbox

        return FilesystemOutbox(
            self.layout, self.clock(), self.incidents, is_polling=self.is_polling
        )

    def audit_sink(self) -> AuditSink:
        """The trail of the gateway's own deeds, for writing."""
        from galaxy_adapters.audit_jsonl import JsonlAuditSink

        settings = self.configuration.settings
        size = settings.audit.rotate_megabytes * MEGABYTE
        return masked_sink(JsonlAuditSink(self.layout.audit_log, rotate_bytes=size), settings)

    def audit_trail(self) -> AuditTrail:
        """The same, for reading."""
        from galaxy_adapters.audit_jsonl import JsonlAuditTrail

        return JsonlAuditTrail(self.layout.audit_log, is_polling=self.is_polling)

    def trail(self) -> Trail:
        """For writing, with the gateway's name on each line."""
        from galaxy_core.services.trail import Trail

        return Trail(self.audit_sink(), self.clock(), NAME)

    def web_users(self) -> tuple[str, ...]:
        """Names with which one may log in on the page."""
        return tuple(dict.fromkeys(self.configuration.settings.web.authorized_users))

    def named_people(self) -> tuple[Person, ...]:
        """Those whom the settings name."""
        settings = self.configuration.settings
        named = [(TELEGRAM, str(number)) for number in settings.telegram.authorized_users]
        named += [(WEB, name) for name in self.web_users()]
        return tuple(
            Person(channel=channel, id=name, role=settings.roles.get(name, Role.OWNER))
            for channel, name in dict.fromkeys(named)
        )

    def people_of(self, channels: Collection[str]) -> tuple[Person, ...]:
        """Those who can be reached by these channels: the page's owner is never named."""
        people = [person for person in self.named_people() if person.channel in channels]
        if WEB in channels and not any((p.channel, p.id) == (WEB, WEB_OWNER) for p in people):
            people.append(Person(channel=WEB, id=WEB_OWNER, role=Role.OWNER))
        return tuple(people)

    def roster(self, notes: SqliteNoteStore) -> Roster:
        """Everybody who may talk to the gateway."""
        from galaxy_core.services.gateway.roster import Roster

        return Roster(notes, self.named_people())

    def pairing(self, notes: SqliteNoteStore) -> PairingDesk:
        """The desk that lets people in."""
        from datetime import timedelta

        from galaxy_core.services.gateway.pairing import PairingDesk

        minutes = self.configuration.settings.pairing.minutes
        return PairingDesk(
            notes,
            self.roster(notes),
            self.outbox(),
            self.trail(),
            self.clock(),
            timedelta(minutes=minutes),
        )
