"""Reading, following and checking the trail."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from anyio import to_thread
from attrs import evolve

from galaxy_adapters._files import ChangeKind, FolderWatch, storage_errors
from galaxy_adapters.audit_jsonl._reading_on import read_on
from galaxy_adapters.audit_jsonl._tail import Tail
from galaxy_adapters.audit_jsonl.reading import Matcher, read_newest
from galaxy_adapters.audit_jsonl.verifying import verify_chain
from galaxy_core.domain.audit import AuditQuery, AuditRecord, ChainReport, TrailPiece
from galaxy_core.ports.audit_trail import AuditTrail

__all__ = ["JsonlAuditTrail"]

_RESCAN_S = 5.0
"""Notices of changes may be lost: look all the same."""


class JsonlAuditTrail(AuditTrail):
    """`AuditTrail` on the files of one `JsonlAuditSink`, or on the original system's file.

    `anchors` are digests of lines that were written down elsewhere (`ChainReport.head`), with their
    numbers where those are known (see `verify_chain`): `verify` asks for each of them.
    """

    def __init__(
        self, path: Path, *, anchors: Sequence[str] = (), is_polling: bool = False
    ) -> None:
        self._path = path
        self._anchors = tuple(anchors)
        self._is_polling = is_polling

    async def read(self, query: AuditQuery) -> Sequence[AuditRecord]:
        with storage_errors("read the audit trail", self._path):
            return await to_thread.run_sync(read_newest, self._path, query)

    async def follow(self, query: AuditQuery) -> AsyncIterator[AuditRecord]:
        watch = FolderWatch(is_polling=self._is_polling)
        tail = Tail(self._path)
        try:
            watch.add(self._path.parent, ChangeKind.MODIFIED | ChangeKind.ARRIVED)
            with storage_errors("read the audit trail", self._path):
                old = await to_thread.run_sync(tail.start, query)
            for record in old:
                yield record
            matcher = Matcher(evolve(query, limit=None, since=None))
            while True:
                with storage_errors("read the audit trail", self._path):
                    lines = tail.take()
                for line in lines:
                    new = matcher.match(line)
                    if new is not None and query.matches(new.event):
                        yield new
                if not lines:
                    await watch.wait(_RESCAN_S)
                    watch.take()
        finally:
            tail.close()
            watch.close()

    async def read_on(self, mark: str | None, *, limit: int = 1000) -> TrailPiece:
        with storage_errors("read the audit trail", self._path):
            return await to_thread.run_sync(read_on, self._path, mark, limit)

    async def verify(self) -> ChainReport:
        with storage_errors("read the audit trail", self._path):
            return await to_thread.run_sync(lambda: verify_chain(self._path, anchors=self._anchors))
