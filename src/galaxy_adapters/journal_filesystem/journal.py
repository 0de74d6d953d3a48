"""`runs/<order_id>.jsonl`: one line for each ticket, and one for the settlement.

A new journal is filled up with line breaks, and later lines are written over them: the file keeps
its size and its place on the disk, so that a sync has only the content to write and no commit of
the file system's journal to wait for (measured: a third of the time, and nobody else's commit
stands in the way).  What does not fit goes on behind them.

A line counts once its line break is there.  A process that dies while it writes leaves a torn
line, which readers pass over; one at the end of the file is cut off by the next line.  One that
dies between making the file and syncing its folder leaves a file that a power cut may take away:
each process syncs the folder at its own first line of an order.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from anyio import to_thread

from galaxy_adapters._files import (
    make_durable_folder,
    read_plain_file,
    storage_errors,
    sync_data,
    sync_directory,
    sync_file,
    write_all,
)
from galaxy_core.domain.delivery import RunRecord, Settlement, Ticket
from galaxy_core.domain.errors import InvalidOrder, UnreadableFile
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.wire.journal import decode_entry, encode_entry
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemRunJournal"]

MAX_BYTES = 256 << 20
"""No journal gets near: a settlement holds an answer, a ticket a few hundred bytes."""

_SUFFIX = ".jsonl"
_ROOM = 16 << 10
"""Bytes of a new journal: a ticket or two, and a decision with an answer of usual length."""


class FilesystemRunJournal(RunJournal):
    """Run journals of one machine; safe for several processes."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folder = layout.run_journal("x").parent
        self._durable: set[OrderId] = set()
        """Orders whose file is known to survive a power cut, by name."""

    async def write_ticket(self, order_id: OrderId, ticket: Ticket) -> None:
        await to_thread.run_sync(self._append, order_id, ticket)

    async def write_settlement(self, settlement: Settlement) -> None:
        await to_thread.run_sync(self._append, settlement.order_id, settlement)

    async def read(self, order_id: OrderId) -> RunRecord:
        if why_not_an_order_id(order_id) is not None:
            return RunRecord()
        path = self._layout.run_journal(order_id)
        with storage_errors("read", path):
            try:
                data, _ = read_plain_file(path, limit=MAX_BYTES)
            except FileNotFoundError:
                return RunRecord()
        return _record(data)

    async def list(self) -> Sequence[OrderId]:
        with storage_errors("list", self._folder):
            try:
                names = [path.name for path in self._folder.iterdir()]
            except FileNotFoundError:
                return []
        return [OrderId(n.removesuffix(_SUFFIX)) for n in names if n.endswith(_SUFFIX)]

    async def forget(self, order_id: OrderId) -> None:
        if why_not_an_order_id(order_id) is not None:
            return
        self._durable.discard(order_id)
        path = self._layout.run_journal(order_id)
        # Not synced: a record that comes back belongs to an archived order, and is swept.
        with storage_errors("remove", path):
            path.unlink(missing_ok=True)

    def _append(self, order_id: OrderId, entry: Ticket | Settlement) -> None:
        problem = why_not_an_order_id(order_id)
        if problem is not None:
            raise InvalidOrder(f"The order_id cannot be a file's name: {problem}.")
        path = self._layout.run_journal(order_id)
        is_first = order_id not in self._durable
        if is_first:
            make_durable_folder(self._folder)
        with storage_errors("write", path), _opened_alone(path) as fd:
            size, end = _ends(fd)
            if isinstance(entry, Settlement) and not entry.outranks(_settlement(fd, end)):
                # The one that stands may be from a process that died before its sync.
                sync_file(fd)
            else:
                _write_line(fd, size, end, encode_entry(entry))
        if is_first:
            sync_directory(self._folder)
            self._durable.add(order_id)


@contextlib.contextmanager
def _opened_alone(path: Path) -> Iterator[int]:
    """Open the journal for writing; no other process or thread writes meanwhile."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)


def _ends(fd: int) -> tuple[int, int]:
    """The file's size, and where its next line goes; drops what stands behind the last break."""
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    size = data.rfind(b"\n") + 1
    if size != len(data):
        os.ftruncate(fd, size)
    lines = data[:size].rstrip(b"\n")
    return size, len(lines) + 1 if lines else 0


def _write_line(fd: int, size: int, end: int, line: bytes) -> None:
    """Write a line at `end` in a file of `size` bytes, and sync it."""
    filling = b"\n" * (0 if size else _ROOM - len(line))
    os.lseek(fd, end, os.SEEK_SET)
    try:
        write_all(fd, line + filling)
        sync_data(fd)
    except OSError:
        # The caller hears that nothing was written; so nobody shall read it either.
        with contextlib.suppress(OSError):
            os.ftruncate(fd, end)
        raise


def _settlement(fd: int, size: int) -> Settlement | None:
    return _record(os.pread(fd, size, 0)).settlement


def _record(data: bytes) -> RunRecord:
    tickets: list[Ticket] = []
    settlement: Settlement | None = None
    whole_lines = data[: data.rfind(b"\n") + 1].rstrip(b"\n")
    for line in whole_lines.split(b"\n"):
        try:
            entry = decode_entry(line)
        except UnreadableFile:  # torn; or blanks where a power cut took what was not yet synced
            continue
        if isinstance(entry, Ticket):
            tickets.append(entry)
        elif entry.outranks(settlement):
            settlement = entry
    return RunRecord(tickets=tuple(tickets), settlement=settlement)
