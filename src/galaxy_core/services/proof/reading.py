"""Going through a trail from its beginning, piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

from attrs import define, field

from galaxy_core.domain.audit import AuditRecord
from galaxy_core.ports.audit_trail import AuditTrail

PIECE = 2_000
SHARE = 200_000
"""Orders that are kept in mind at a time, some 60 MB; with more the trail is read several times."""


@define
class Reader:
    """Reads a trail on from where it stopped."""

    _trail: AuditTrail
    _mark: str | None = field(default=None, init=False)

    async def lines(self) -> AsyncIterator[AuditRecord]:
        """Every chained line that was not read yet; lines of the original prove nothing."""
        while True:
            piece = await self._trail.read_on(self._mark, limit=PIECE)
            self._mark = piece.mark
            for record in piece.records:
                if record.sequence is not None:
                    yield record
            if piece.is_at_end:
                return


def shares(names: int) -> int:
    """Into how many parts so many names have to be divided."""
    return 1 + names // SHARE


def share_of(name: str, parts: int) -> int:
    """The part that a name belongs to."""
    if parts == 1:
        return 0
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % parts
