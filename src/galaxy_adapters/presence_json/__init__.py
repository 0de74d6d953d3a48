"""Signs of life: Hermes' `galaxy-session-heartbeat.json`, `galaxy-gateway-heartbeat.json`."""

from __future__ import annotations

import contextlib

from anyio import to_thread
from anyio.lowlevel import checkpoint

from galaxy_adapters._files import make_durable_folder, read_plain_file, replace_atomically
from galaxy_core.domain.errors import StorageUnavailable, UnreadableFile
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.presence import Presence
from galaxy_core.wire.heartbeat import decode_heartbeat, encode_heartbeat
from galaxy_core.wire.layout import Layout

__all__ = ["JsonPresence"]

_MAX_BYTES = 1 << 20


class JsonPresence(Presence):
    """A heartbeat file in one machine's folder, replaced whole at each beat and never synced."""

    def __init__(self, layout: Layout, *, is_gateway: bool = False) -> None:
        self._path = layout.gateway_heartbeat if is_gateway else layout.heartbeat

    async def beat(self, heartbeat: Heartbeat) -> None:
        # In a thread all the same: a disk that hangs must not stop the orders too.
        await to_thread.run_sync(self._beat, encode_heartbeat(heartbeat))

    async def read(self) -> Heartbeat | None:
        await checkpoint()
        try:
            data, _ = read_plain_file(self._path, limit=_MAX_BYTES)
            return decode_heartbeat(data)
        except (OSError, UnreadableFile):
            return None

    def _beat(self, data: bytes) -> None:
        with contextlib.suppress(StorageUnavailable):
            if not self._path.parent.is_dir():
                make_durable_folder(self._path.parent)
            replace_atomically(self._path, data)
