"""What a gateway would have done with the letters of a folder."""

from __future__ import annotations

from pathlib import Path

from galaxy_adapters.audit_jsonl import JsonlAuditSink
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_core.domain.audit import AuditType
from galaxy_core.services.trail import Trail
from galaxy_core.testing.factories import make_receipt
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout


async def deliver_letters(folder: Path, *, but: str) -> None:
    """Deliver all letters, on record, except that of one order."""
    clock = SystemClock()
    outbox = FilesystemOutbox(Layout(folder), clock, MemoryIncidentSink())
    trail = Trail(JsonlAuditSink(Layout(folder).audit_log), clock, "lab")
    for letter in await outbox.pending():
        if letter.order_id == but:
            continue
        delivered = await outbox.record(letter, make_receipt())
        line = trail.event(AuditType.LETTER_DELIVERED, letter.order_id, letter=letter.name)
        await trail.record(line)
        await outbox.mark_sent(delivered)
    outbox.close()
