"""`galaxy-order-response-<order_id>.md`: the file whose existence ends an order.

The content is on the disk before the name appears, and the name on the disk before `commit`
returns.  A process that dies in between leaves a scratch file, or a response whose name a power
cut may still undo: whoever then tries again and meets the name makes it durable before it hears
that the order is answered.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import (
    create_durably,
    make_durable_folder,
    read_plain_file,
    storage_errors,
    sweep_scratch,
    sync_directory,
)
from galaxy_core.domain.errors import AlreadyAnswered, InvalidOrder, UnreadableFile
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.domain.response import Response
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.response import encode_response, parse_response

__all__ = ["FilesystemResponseStore"]

MAX_BYTES = 64 << 20
"""Longest response that is read back: an agent's whole answer is far below, and anybody on the
machine may have put a file of this name there."""


class FilesystemResponseStore(ResponseStore):
    """Responses of one machine."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._scratch = layout.state / "scratch"
        self._is_prepared = False

    async def commit(self, response: Response) -> None:
        problem = why_not_an_order_id(response.order_id)
        if problem is not None:
            raise InvalidOrder(f"The response's order_id cannot be a file's name: {problem}.")
        await to_thread.run_sync(self._commit, response)

    async def get(self, order_id: OrderId) -> Response | None:
        if why_not_an_order_id(order_id) is not None:
            return None
        path = self._layout.response(order_id)
        with storage_errors("read", path):
            try:
                return _read(path, order_id)
            except FileNotFoundError:
                return None

    async def exists(self, order_id: OrderId) -> bool:
        if why_not_an_order_id(order_id) is not None:
            return False
        return _is_taken(self._layout.response(order_id))

    def _commit(self, response: Response) -> None:
        path = self._layout.response(response.order_id)
        if not self._is_prepared:
            make_durable_folder(self._scratch)
            sweep_scratch(self._scratch)
            self._is_prepared = True
        if not create_durably(path, encode_response(response), scratch=self._scratch):
            sync_directory(path.parent)
            raise AlreadyAnswered(f"Order {response.order_id} is answered: see {path}.")


def _is_taken(path: Path) -> bool:
    # Whatever has the name, a broken link too, keeps a response from being written.
    return os.path.lexists(path)


def _read(path: Path, order_id: OrderId) -> Response:
    """Read a response.

    Something unreadable under the name is the order's response all the same: it cannot be
    replaced, so the order is over, and whoever asks is told what lies there.
    """
    written_at = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    try:
        data, _ = read_plain_file(path, limit=MAX_BYTES)
        return parse_response(data, order_id=order_id, written_at=written_at)
    except UnreadableFile as error:
        text = f"The response of this order cannot be read: {error} Look at {path}."
        return Response(order_id=order_id, text=text, machine="", finished_at=written_at)
