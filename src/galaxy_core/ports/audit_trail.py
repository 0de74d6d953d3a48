"""Port: reading and checking the audit trail."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from galaxy_core.domain.audit import AuditQuery, AuditRecord, ChainReport, TrailPiece


class AuditTrail(Protocol):
    """The trail as it is on disk, rotated parts included.  Memory use does not grow with it."""

    @abstractmethod
    async def read(self, query: AuditQuery) -> Sequence[AuditRecord]:
        """The newest lines that match, oldest of them first; empty when there are none."""

    @abstractmethod
    def follow(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        """First what `read` gives, then every new line that matches; never ends by itself."""
        ...

    @abstractmethod
    async def read_on(self, mark: str | None, *, limit: int = 1000) -> TrailPiece:
        """The next lines, at most `limit`, behind a piece that was read before (None: all).

        Every line comes once, in the order of writing, over rotations and restarts too.  A mark
        keeps its meaning while the trail is only added to, and when old parts are moved away
        that were read to their end.  Raises `TrailReplaced` when it has lost it.
        """

    @abstractmethod
    async def verify(self) -> ChainReport:
        """Check every line's place in the chain: changed, removed and moved lines are named."""
