"""Lists of a report that cannot grow without end."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from galaxy_core.domain.proof import Gap, GapKind, Names, ProofReport

MAX_GAPS = 1_000
"""Gaps that are named one by one; of more, only the number is told."""
MAX_NAMES = 100


@define
class Gaps:
    """Gaps found so far."""

    named: list[Gap] = field(factory=list)
    count: int = 0

    def add(self, kind: GapKind, subject: str, sentence: str, sequence: int | None = None) -> None:
        """Note one."""
        self.put(Gap(kind=kind, subject=subject, sentence=sentence, sequence=sequence))

    def put(self, gap: Gap) -> None:
        """Note one."""
        self.count += 1
        if self.count <= MAX_GAPS:
            self.named.append(gap)


@define
class Tally:
    """Names found so far."""

    _count: int = 0
    _first: list[str] = field(factory=list)

    def add(self, name: str) -> None:
        """Note one."""
        self._count += 1
        if self._count <= MAX_NAMES:
            self._first.append(name)

    @property
    def names(self) -> Names:
        """What was found."""
        return Names(count=self._count, first=tuple(self._first))


def merged(reports: Iterable[ProofReport]) -> ProofReport:
    """Several reports as one."""
    parts = list(reports)
    gaps = [gap for part in parts for gap in part.gaps]
    return ProofReport(
        orders=sum(part.orders for part in parts),
        messages=sum(part.messages for part in parts),
        older=sum(part.older for part in parts),
        gaps=tuple(gaps[:MAX_GAPS]),
        gap_count=sum(part.gap_count for part in parts),
        waiting_orders=_joined(part.waiting_orders for part in parts),
        waiting_letters=_joined(part.waiting_letters for part in parts),
        undeliverable=_joined(part.undeliverable for part in parts),
    )


def _joined(parts: Iterable[Names]) -> Names:
    first: list[str] = []
    count = 0
    for part in parts:
        first += part.first
        count += part.count
    return Names(count=count, first=tuple(first[:MAX_NAMES]))
