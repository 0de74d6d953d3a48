"""Port: writing the audit trail."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from galaxy_core.domain.audit import AuditEvent


class AuditSink(Protocol):
    """Where the trail is written.  Safe for several tasks and several processes."""

    @abstractmethod
    async def record(self, events: Sequence[AuditEvent]) -> None:
        """Add the events, in this order; when this returns, they survive a power cut.

        Each line is chained to the one before it, whoever wrote that.  Callers that come
        together share one sync.  Raises `StorageUnavailable`; then none or a first part of the
        events was written.
        """
