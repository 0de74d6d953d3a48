"""`Records`: the trail, the sessions, the health log."""

# ruff: noqa: D102 - the port says what each method is for

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from attrs import define, field

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.insight import AuditPage
from galaxy_core.domain.session import Session
from galaxy_core.ports.front_desk import Records
from galaxy_core.ports.trail_index import AuditSearch
from galaxy_core.services.folders import Folders
from galaxy_core.services.insight.config import InsightPorts

__all__ = ["LocalRecords"]

MAX_PAGE = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def _nothing() -> None:
    return


@define(eq=False)
class LocalRecords(Records):
    """`Records` of the machines whose folders are here."""

    _ports: InsightPorts
    _catch_up: Callable[[], Awaitable[None]] = _nothing
    """Brings the index up to date, if that takes no time."""
    _folders: Folders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._folders = Folders(self._ports.machines)

    async def audit(  # noqa: PLR0913 - as in the port
        self,
        *,
        text: str = "",
        event_type: str | None = None,
        severity: AuditSeverity | None = None,
        machine: str | None = None,
        since: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditPage:
        if cursor is None:
            await self._catch_up()
        wanted = AuditSearch(
            text=text, event_type=event_type, severity=severity, machine=machine, since=since
        )
        limit = min(max(limit, 1), MAX_PAGE)
        return await self._ports.index.search(wanted, cursor=cursor, limit=limit)

    async def sessions(self) -> Sequence[tuple[str, Session]]:
        found = [
            (folder.first.name, session)
            for folder in self._folders.all
            for session in await folder.first.sessions.list()
        ]
        return sorted(found, key=lambda item: item[1].updated_at or _EPOCH, reverse=True)

    async def health_log(self, limit: int = 50) -> Sequence[str]:
        lines: list[str] = []
        for folder in self._folders.all:
            lines += await self._ports.folders[folder.first.name].health_log(limit)
        # Lines begin with their time; those of several machines are put in its order.
        return (lines if len(self._folders.all) == 1 else sorted(lines))[-limit:]
