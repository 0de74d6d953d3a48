"""Removing the oldest full parts of a trail, on a person's order.

Only a beginning is ever removed, oldest part first, and never the part that grows.  The line that
is written before names the last line that goes (`through`, `digest`): with it the check of the
chain knows that nobody cut the beginning off in secret.  Killed in the middle, parts are left that
the line calls removed; the check then finds the chain from its first line on, and is content.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import storage_errors, sync_directory
from galaxy_adapters.audit_jsonl._line import Head
from galaxy_adapters.audit_jsonl._parts import DIGEST, THROUGH, Trail, lines_from, opened
from galaxy_adapters.audit_jsonl._walk import Walk
from galaxy_core.domain.order import JSONObject
from galaxy_core.domain.tidying import Pile
from galaxy_core.ports.old_files import OldRecords

__all__ = ["OldAuditParts"]


class OldAuditParts(OldRecords):
    """Full parts of the trail whose growing part is `path`."""

    def __init__(self, path: Path) -> None:
        self._trail = Trail(path)

    async def measure(self, before: datetime) -> Pile:
        return await to_thread.run_sync(self._measure, before)

    async def remove(self, before: datetime) -> Pile:
        return await to_thread.run_sync(self._remove, before)

    def _measure(self, before: datetime) -> Pile:
        with storage_errors("read", self._trail.path):
            parts = self._old(before)
            size = sum(part.stat().st_size for part in parts)
            head = _last_line(parts[-1]) if parts else None
        if head is None:
            return Pile()
        detail: JSONObject = {THROUGH: head.sequence, DIGEST: head.digest}
        return Pile(count=len(parts), size=size, detail=detail)

    def _remove(self, before: datetime) -> Pile:
        count = size = 0
        with storage_errors("remove", self._trail.path):
            for part in self._old(before):
                # Machines that share a folder tidy it at the same time.
                with contextlib.suppress(FileNotFoundError):
                    its_size = part.stat().st_size
                    part.unlink()
                    count, size = count + 1, size + its_size
            if count:
                sync_directory(self._trail.path.parent)
        return Pile(count=count, size=size)

    def _old(self, before: datetime) -> list[Path]:
        """The oldest parts in a row that were last written before then.

        The growing part must be there: it is what goes on from the parts that were put aside.
        """
        found: list[Path] = []
        try:
            os.lstat(self._trail.path)
        except FileNotFoundError:
            return found
        for part in self._trail.full_parts():
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime >= before.timestamp():
                    break
                found.append(part)
        return found


def _last_line(part: Path) -> Head | None:
    walk = Walk(None)
    with opened(part) as file:
        for line in lines_from(file.fileno(), 0):
            walk.feed(line)
    return walk.head
