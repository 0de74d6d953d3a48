"""Heads of audit trails in a file that is only added to.

    2026-02-02T12:00:00+00:00 4711 <64 hexadecimal digits> lab

The file may lie on another disk or a mount.  A process that dies in the middle leaves a torn line,
which readers pass over; the next writer begins a new one behind it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import (
    make_durable_folder,
    storage_errors,
    sync_directory,
    sync_file,
    write_all,
)
from galaxy_core.ports.anchor_log import Anchor, AnchorLog

__all__ = ["FileAnchorLog"]


class FileAnchorLog(AnchorLog):
    """One file, of any number of trails.  Several processes may add to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, anchors: Sequence[Anchor]) -> int:
        return await to_thread.run_sync(self._add, anchors)

    def _add(self, anchors: Sequence[Anchor]) -> int:
        make_durable_folder(self._path.parent)
        with storage_errors("write", self._path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self._path, flags, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                return self._add_missing(fd, anchors)
            finally:
                os.close(fd)

    def _add_missing(self, fd: int, anchors: Sequence[Anchor]) -> int:
        new: dict[tuple[str, str], str] = {}
        for line in map(_line, anchors):
            new.setdefault(_subject(line), line)
        is_torn = False
        # All of it: it grows by a line a day and trail, and a clock that was wrong may have left
        # days of today's or later ones anywhere.
        with os.fdopen(fd, "rb", closefd=False) as file:
            for known in file:
                is_torn = not known.endswith(b"\n")
                if not is_torn:
                    new.pop(_subject(known[:-1].decode("utf-8", "replace")), None)
        if new:
            begin = "\n" if is_torn else ""
            write_all(fd, (begin + "".join(f"{line}\n" for line in new.values())).encode())
            sync_file(fd)
            sync_directory(self._path.parent)
        return len(new)


def _line(anchor: Anchor) -> str:
    at = anchor.at.astimezone(UTC).isoformat(timespec="seconds")
    return f"{at} {anchor.sequence} {anchor.digest} {' '.join(anchor.trail.split())}"


def _subject(line: str) -> tuple[str, str]:
    """The day and the trail that a line is about."""
    time, _, rest = line.partition(" ")
    words = rest.split(" ", 2)
    return time[:10], words[2] if len(words) == 3 else ""  # noqa: PLR2004 - number, head, name
