"""The composition root of tidying: a machine's folder, the gateway's own where it is the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from galaxy_apps.home import Home

if TYPE_CHECKING:
    from galaxy_apps.settings import Configuration
    from galaxy_apps.wiring import Place
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.ports.clock import Clock
    from galaxy_core.ports.old_files import OldRecords
    from galaxy_core.services.tidying import Tidier


@asynccontextmanager
async def tidier(configuration: Configuration, place: Place) -> AsyncIterator[tuple[Tidier, Clock]]:
    """Who tidies the machine's folder, with the clock that ages go by."""
    from galaxy_adapters.audit_jsonl import OldAuditParts
    from galaxy_adapters.channel_web import OldHistory
    from galaxy_adapters.old_filesystem import FilesystemOldFiles
    from galaxy_core.domain.tidying import OldKind
    from galaxy_core.services.gateway.caduceus import OVER
    from galaxy_core.services.tidying import OldNotes, Tidier
    from galaxy_core.services.trail import Trail

    home, clock, layout = Home(configuration), place.clock(), place.layout
    records: dict[OldKind, OldRecords] = {OldKind.AUDIT: OldAuditParts(layout.audit_log)}
    async with AsyncExitStack() as stack:
        if home.layout.repo_path == layout.repo_path.resolve():
            records[OldKind.WEB] = OldHistory(layout.web_channel, clock, home.incidents)
            if layout.gateway_notes.exists():
                notes = await stack.enter_async_context(home.notes())
                records[OldKind.NOTES] = OldNotes(notes, OVER)
        yield (
            Tidier(
                FilesystemOldFiles(layout),
                place.catalogue(),
                Trail(place.audit_sink(), clock, place.machine.name),
                records,
            ),
            clock,
        )
