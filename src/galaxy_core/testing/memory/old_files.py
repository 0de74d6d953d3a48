"""What is left of things that are over, kept in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from attrs import define, field, frozen

from galaxy_core.domain.tidying import OldKind, Pile, Remnant, Ties
from galaxy_core.ports.old_files import OldFiles, OldRecords
from galaxy_core.testing.faults import Faults

_PIECE = 100


@define(eq=False)
class MemoryOldFiles(OldFiles):
    """A test puts there what it likes; operations are named `old.<method>`."""

    remnants: dict[tuple[OldKind, str], tuple[Remnant, datetime]] = field(factory=dict)
    """By kind and name, with the time of the last change."""
    ties: Ties = field(factory=Ties)
    """What `waiting` says."""
    faults: Faults = field(factory=Faults, kw_only=True)

    def put(self, remnant: Remnant, changed_at: datetime) -> None:
        """Have it lie there."""
        self.remnants[remnant.kind, remnant.name] = (remnant, changed_at)

    async def find(self, kind: OldKind, before: datetime) -> AsyncIterator[Sequence[Remnant]]:
        async with self.faults.around("old.find", is_write=False):
            found = [
                remnant
                for remnant, changed_at in self.remnants.values()
                if remnant.kind is kind and changed_at < before
            ]
        for start in range(0, len(found), _PIECE):
            yield found[start : start + _PIECE]

    async def waiting(self) -> Ties:
        async with self.faults.around("old.waiting", is_write=False):
            return self.ties

    async def remove(self, remnants: Sequence[Remnant]) -> int:
        async with self.faults.around("old.remove"):
            known = [self.remnants.pop((each.kind, each.name), None) for each in remnants]
            return sum(each is not None for each in known)


@frozen(kw_only=True)
class OldRecord:
    """One record."""

    at: datetime
    size: int = 1
    is_over: bool = True


@define(eq=False)
class MemoryOldRecords(OldRecords):
    """Records of one kind; operations are named `records.<method>`."""

    records: list[OldRecord] = field(factory=list)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def measure(self, before: datetime) -> Pile:
        async with self.faults.around("records.measure", is_write=False):
            return _pile(self._old(before))

    async def remove(self, before: datetime) -> Pile:
        async with self.faults.around("records.remove"):
            old = self._old(before)
            self.records[:] = [record for record in self.records if record not in old]
            return _pile(old)

    def _old(self, before: datetime) -> list[OldRecord]:
        return [record for record in self.records if record.is_over and record.at < before]


def _pile(records: Sequence[OldRecord]) -> Pile:
    return Pile(count=len(records), size=sum(record.size for record in records))
