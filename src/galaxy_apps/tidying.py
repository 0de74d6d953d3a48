"""The composition root of tidying: a machine's folder, the gateway's own where it is the same.

Each kind of thing in a folder has one daemon that looks after it: Hermes what lies in its machine's
folder, the gateway its notes and the page's chat, and all of a folder of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from galaxy_apps.home import NAME, Home

if TYPE_CHECKING:
    from galaxy_apps.settings import Configuration
    from galaxy_apps.wiring import Place
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.ports.audit_sink import AuditSink
    from galaxy_core.ports.clock import Clock
    from galaxy_core.ports.control import Control
    from galaxy_core.ports.note_store import NoteStore
    from galaxy_core.ports.old_files import OldRecords
    from galaxy_core.ports.order_catalogue import OrderCatalogue
    from galaxy_core.services.gateway.config import GatewayPorts
    from galaxy_core.services.housekeeping import Housekeeper
    from galaxy_core.services.tidying import Tidier
    from galaxy_core.services.trail import Trail
    from galaxy_core.wire.layout import Layout


@asynccontextmanager
async def tidier(configuration: Configuration, place: Place) -> AsyncIterator[tuple[Tidier, Clock]]:
    """Who tidies the machine's folder, with the clock that ages go by."""
    from galaxy_core.services.trail import Trail

    home, clock, layout = Home(configuration), place.clock(), place.layout
    async with AsyncExitStack() as stack:
        records = _records_of_machine(place)
        if home.layout.repo_path == layout.repo_path.resolve():
            notes = None
            if layout.gateway_notes.exists():
                notes = await stack.enter_async_context(home.notes())
            records |= _records_of(home, notes)
        trail = Trail(place.audit_sink(), clock, place.machine.name)
        yield _tidier(layout, place.catalogue(), trail, records), clock


@asynccontextmanager
async def gateway_tidier(home: Home) -> AsyncIterator[tuple[Tidier, Clock]]:
    """Who tidies the gateway's folder where no machine has it."""
    clock = home.clock()
    async with AsyncExitStack() as stack:
        notes = None
        if home.layout.gateway_notes.exists():
            notes = await stack.enter_async_context(home.notes())
        records = _records_of(home, notes)
        yield _tidier(home.layout, _catalogue_of(home), home.trail(), records), clock


@asynccontextmanager
async def hermes_keeping_house(place: Place, audit: AuditSink) -> AsyncIterator[None]:
    """Hermes' tidying of its machine's folder, at work as long as the context lasts."""
    from galaxy_core.services.housekeeping import HERMES_KINDS, Housekeeper
    from galaxy_core.services.trail import Trail

    clock = place.clock()
    trail = Trail(audit, clock, place.machine.name)
    ages = place.settings.retention.ages()
    tidy = _tidier(place.layout, place.catalogue(), trail, _records_of_machine(place))
    async with _at_work(Housekeeper(tidy, clock, ages, HERMES_KINDS)):
        yield


@asynccontextmanager
async def gateway_keeping_house(home: Home, ports: GatewayPorts) -> AsyncIterator[None]:
    """The gateway's tidying of what is its own, at work as long as the context lasts."""
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.services.housekeeping import GATEWAY_KINDS, Housekeeper
    from galaxy_core.services.trail import Trail

    folder = home.layout.repo_path
    here = [m for m in ports.machines.values() if m.layout.repo_path.resolve() == folder]
    box = ports.mailboxes[0]
    trail = Trail(box.trail, ports.clock, box.name)
    catalogue = here[0].catalogue if here else _catalogue_of(home)
    tidy = _tidier(home.layout, catalogue, trail, _records_of(home, ports.notes))
    kinds = GATEWAY_KINDS if here else frozenset(OldKind)
    ages = home.configuration.settings.retention.ages()
    async with _at_work(Housekeeper(tidy, ports.clock, ages, kinds)):
        yield


@asynccontextmanager
async def _at_work(housekeeper: Housekeeper) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(housekeeper.run, name="housekeeping")
        yield
        # Cut short, a round leaves files that the next one takes.
        tasks.cancel_scope.cancel()


def _records_of_machine(place: Place) -> dict[OldKind, OldRecords]:
    """Records of a machine that are no files."""
    from galaxy_adapters.sessions_json import OldSessions
    from galaxy_core.domain.tidying import OldKind

    sessions = OldSessions(place.sessions(), place.catalogue(), place.machine.name)
    return {OldKind.SESSIONS: sessions}


def _records_of(home: Home, notes: NoteStore | None) -> dict[OldKind, OldRecords]:
    """The gateway's own records; without notes where there are none."""
    from galaxy_adapters.channel_web import OldHistory
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.services.gateway.caduceus import OVER
    from galaxy_core.services.tidying import OldNotes

    history = OldHistory(home.layout.web_channel, home.clock(), home.incidents)
    records: dict[OldKind, OldRecords] = {OldKind.WEB: history}
    if notes is not None:
        records[OldKind.NOTES] = OldNotes(notes, OVER)
    return records


def _catalogue_of(home: Home) -> OrderCatalogue:
    """What orders lie in a folder that is the gateway's alone: none, unless somebody put some."""
    from galaxy_adapters.control_filesystem import FilesystemControl
    from galaxy_adapters.queue_filesystem import FilesystemOrderCatalogue
    from galaxy_apps.late import LaterControl

    clock = home.clock()

    def control() -> Control:
        return FilesystemControl(home.layout, clock, home.incidents)

    return FilesystemOrderCatalogue(
        home.layout, machine=NAME, clock=clock, control=LaterControl(control)
    )


def _tidier(
    layout: Layout, catalogue: OrderCatalogue, trail: Trail, records: dict[OldKind, OldRecords]
) -> Tidier:
    from galaxy_adapters.audit_jsonl import OldAuditParts
    from galaxy_adapters.old_filesystem import FilesystemOldFiles
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.services.tidying import Tidier

    return Tidier(
        FilesystemOldFiles(layout),
        catalogue,
        trail,
        {OldKind.AUDIT: OldAuditParts(layout.audit_log), **records},
    )
