"""An audit trail in memory, chained like one on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Sequence

from anyio.lowlevel import checkpoint
from attrs import asdict, define, field

from galaxy_core.domain.audit import AuditEvent, AuditQuery, AuditRecord, ChainReport, TrailPiece
from galaxy_core.domain.errors import TrailReplaced
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal

_GENESIS = "0" * 64


@define(eq=False)
class AuditLines:
    """The lines themselves: what every sink and trail over it shares."""

    records: list[AuditRecord] = field(factory=list)
    changes: Signal = field(factory=Signal)
    count: int = 0
    """How many lines were ever written, also when some are missing now."""
    head: str = _GENESIS
    marks: dict[str, int] = field(factory=dict)
    """Digests that readers were given as marks, with their line's number."""

    def add(self, event: AuditEvent) -> None:
        """Chain the event to the newest line."""
        self.count += 1
        self.head = _digest(event, self.count, self.head)
        self.records.append(AuditRecord(event=event, sequence=self.count, digest=self.head))
        self.changes.notify()


def _digest(event: AuditEvent, sequence: int, previous: str) -> str:
    content = asdict(event, recurse=False) | {"data": dict(event.data)}
    text = json.dumps(content, default=str, sort_keys=True)
    return hashlib.sha256(f"{sequence} {previous} {text}".encode("utf-8", "replace")).hexdigest()


@define(eq=False)
class MemoryAuditSink(AuditSink):
    """Writes to the lines; writes are named `audit.record`."""

    lines: AuditLines = field(factory=AuditLines)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def record(self, events: Sequence[AuditEvent]) -> None:
        async with self.faults.around("audit.record"):
            for event in events:
                self.lines.add(event)

    @property
    def events(self) -> list[AuditEvent]:
        """Everything recorded so far, oldest first."""
        return [record.event for record in self.lines.records]

    @property
    def types(self) -> list[str]:
        """The types of everything recorded so far, oldest first."""
        return [str(event.event_type) for event in self.events]


@define(eq=False)
class MemoryAuditTrail(AuditTrail):
    """Reads the lines."""

    lines: AuditLines

    async def read(self, query: AuditQuery) -> Sequence[AuditRecord]:
        await checkpoint()
        return self._matching(query)

    async def follow(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        changed = self.lines.changes.next_change
        seen = len(self.lines.records)
        for record in self._matching(query):
            yield record
        while True:
            if seen == len(self.lines.records):
                await changed.wait()
            changed = self.lines.changes.next_change
            fresh, seen = self.lines.records[seen:], len(self.lines.records)
            for record in fresh:
                if query.matches(record.event):
                    yield record

    async def read_on(self, mark: str | None, *, limit: int = 1000) -> TrailPiece:
        await checkpoint()
        records = self.lines.records
        begin = 0
        if mark is not None:
            known = [number for number, record in enumerate(records) if record.digest == mark]
            # Parts that were read may be gone; the line that continues them is number one then.
            follows = bool(records) and records[0].sequence == self._after(mark)
            if not known and not follows:
                raise TrailReplaced("The trail in memory is another one.")
            begin = known[0] + 1 if known else 0
        piece = tuple(records[begin : begin + limit])
        self.lines.marks.update({r.digest: r.sequence for r in piece if r.digest and r.sequence})
        return TrailPiece(
            records=piece,
            mark=piece[-1].digest if piece else mark,
            is_at_end=begin + len(piece) == len(records),
        )

    def _after(self, mark: str) -> int | None:
        number = self.lines.marks.get(mark)
        return None if number is None else number + 1

    async def verify(self) -> ChainReport:
        await checkpoint()
        faults = []
        previous, expected = _GENESIS, 1
        for record in self.lines.records:
            number = record.sequence or 0
            if number != expected:
                faults.append(f"line {number}: line {expected} was expected here")
            elif record.digest != _digest(record.event, number, previous):
                faults.append(f"line {number}: it was changed after it was written")
            previous, expected = record.digest or "", number + 1
        if not faults and previous != self.lines.head:
            faults.append(f"line {expected}: the end of the trail is missing")
        return ChainReport(
            is_intact=not faults,
            lines=len(self.lines.records),
            head=self.lines.records[-1].digest if self.lines.records else None,
            faults=tuple(faults),
        )

    def _matching(self, query: AuditQuery) -> list[AuditRecord]:
        found = [record for record in self.lines.records if query.matches(record.event)]
        if query.limit is None:
            return found
        return found[-query.limit :] if query.limit > 0 else []
