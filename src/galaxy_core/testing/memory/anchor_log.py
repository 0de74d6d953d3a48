"""Heads of audit trails, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date

from attrs import define, evolve, field

from galaxy_core.ports.anchor_log import Anchor, AnchorLog
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryAnchorLog(AnchorLog):
    """One after the other; the write is named `anchors.add`."""

    anchors: list[Anchor] = field(factory=list)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def add(self, anchors: Sequence[Anchor]) -> int:
        async with self.faults.around("anchors.add"):
            count = len(self.anchors)
            for anchor in anchors:
                if _subject(anchor) not in map(_subject, self.anchors):
                    self.anchors.append(evolve(anchor, at=anchor.at.replace(microsecond=0)))
            return len(self.anchors) - count


def _subject(anchor: Anchor) -> tuple[str, date]:
    return anchor.trail, anchor.at.astimezone(UTC).date()
