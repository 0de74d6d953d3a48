"""`galaxy-order-files/<order_id>/out`: where an agent puts what the person shall get.

The agent knows it as `galaxy-outgoing/<conversation>`, a link that leads there.

Nothing is synced: a folder that a power cut takes is made anew at the next attempt, and what is in
it belongs to the agent.  The folders are for their owner only, since people's files lie beside.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from galaxy_adapters._files import plain_files, storage_errors
from galaxy_core.domain.errors import InvalidOrder
from galaxy_core.domain.ids import ConversationKey, OrderId, why_not_an_order_id
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemOrderFiles"]

OWNER_ONLY = 0o700


class FilesystemOrderFiles(OrderFiles):
    """The orders' folders of one machine."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    async def open_outgoing(self, order_id: OrderId, conversation: ConversationKey) -> Path:
        problem = why_not_an_order_id(order_id)
        if problem is not None:
            raise InvalidOrder(f"The order's id cannot be a folder's name: {problem}.")
        folder = self._layout.outbound_files(order_id)
        link = self._layout.outgoing_link(conversation)
        with storage_errors("make the folder", folder):
            self._layout.notepads.mkdir(parents=True, exist_ok=True)
            for each in (folder.parent.parent, folder.parent, folder, link.parent):
                with contextlib.suppress(FileExistsError):
                    each.mkdir(OWNER_ONLY)
                # Through a link of somebody else's, files would land where they do not belong.
                if not stat.S_ISDIR(each.lstat().st_mode):
                    raise NotADirectoryError(errno.ENOTDIR, "no folder", str(each))
            _point(link, folder)
        return link

    async def outgoing(self, order_id: OrderId) -> Sequence[str]:
        if why_not_an_order_id(order_id) is not None:
            return ()
        return plain_files(self._layout.outbound_files(order_id))


def _point(link: Path, folder: Path) -> None:
    """Have the link lead to the folder, from one moment to the next."""
    target = os.path.relpath(folder, link.parent)
    with contextlib.suppress(OSError):
        if link.readlink() == Path(target):
            return
    scratch = link.with_name(f".{link.name}.{os.getpid()}")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(target)
    scratch.replace(link)
