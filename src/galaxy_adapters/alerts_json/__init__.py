"""What a watcher has said, in a small JSON file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import (
    make_durable_folder,
    read_plain_file,
    storage_errors,
    write_durably,
)
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.health import AlertState
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.wire.alerts import decode_alerts, encode_alerts

__all__ = ["JsonAlertBook"]

_MAX_BYTES = 1 << 20


class JsonAlertBook(AlertBook):
    """One file, replaced whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Sequence[AlertState]:
        return await to_thread.run_sync(self._read)

    async def write(self, states: Sequence[AlertState]) -> None:
        await to_thread.run_sync(self._write, encode_alerts(states))

    def _read(self) -> Sequence[AlertState]:
        try:
            data, _ = read_plain_file(self._path, limit=_MAX_BYTES)
            return decode_alerts(data)
        except (OSError, UnreadableFile):
            # Something may be said a second time then, which is better than nothing being said.
            return ()

    def _write(self, data: bytes) -> None:
        with storage_errors("write", self._path):
            make_durable_folder(self._path.parent)
            write_durably(self._path, data)
