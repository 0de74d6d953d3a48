"""Looking at a machine's folder: room on its disk, files of orders, the end of the health log.

Blocking calls run in threads: a network folder may take its time.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import plain_files, storage_errors
from galaxy_adapters._plain_file import open_plain_file
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.ports.machine_folder import DiskSpace, MachineFolder
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemMachineFolder"]

_BLOCK = 1 << 16
_MOST_BYTES = 1 << 20
"""Of a log's end; more than people look at, whatever its lines hold."""


class FilesystemMachineFolder(MachineFolder):
    """One machine's folder."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def space(self) -> DiskSpace:
        return await to_thread.run_sync(self._space)

    def _space(self) -> DiskSpace:
        with storage_errors("look at the disk of", self._layout.repo_path):
            usage = os.statvfs(self._layout.repo_path)
        return DiskSpace(
            free_bytes=usage.f_bavail * usage.f_frsize,
            total_bytes=usage.f_blocks * usage.f_frsize,
            # btrfs and the like make inodes as they need them, and say 0.
            free_files=usage.f_favail if usage.f_files else None,
            total_files=usage.f_files or None,
        )

    async def files_of(self, order_id: OrderId) -> Sequence[str]:
        if why_not_an_order_id(order_id) is not None:
            return ()
        return await to_thread.run_sync(self._files_of, order_id)

    def _files_of(self, order_id: OrderId) -> Sequence[str]:
        came = self._layout.inbound_files(order_id)
        made = self._layout.outbound_files(order_id)
        return tuple(path for folder in (came, made) for path in plain_files(folder))

    async def health_log(self, limit: int) -> Sequence[str]:
        return await to_thread.run_sync(_tail, self._layout.health_log, limit)


def _tail(path: Path, limit: int) -> list[str]:
    """The last lines of a file, read from its end."""
    if limit <= 0:
        return []
    with storage_errors("read", path):
        try:
            file = os.fdopen(open_plain_file(path), "rb")
        except FileNotFoundError:
            return []
        with file:
            end = file.seek(0, os.SEEK_END)
            start, data = end, b""
            # One line break more than lines: the last line ends with one.
            while start > 0 and data.count(b"\n") <= limit and len(data) < _MOST_BYTES:
                step = min(_BLOCK, start)
                start -= step
                file.seek(start)
                data = file.read(step) + data
    lines = data.decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        lines.pop()
    if start > 0:
        lines = lines[1:]  # its beginning was not read
    return [line.rstrip("\r") for line in lines[-limit:]]
