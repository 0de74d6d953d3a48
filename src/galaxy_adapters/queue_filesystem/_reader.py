"""Reading an order's file without being led astray: regular files only, never followed, bounded."""

from __future__ import annotations

import enum
import errno
import fcntl
import hashlib
import os
import signal
import stat as stat_modes
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from attrs import evolve, frozen

from galaxy_adapters._files import storage_unavailable
from galaxy_adapters.queue_filesystem._paths import stem_of
from galaxy_adapters.queue_filesystem._trust import Trust
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.order import Order
from galaxy_core.wire.order import decode_order

MAX_FILE_BYTES = 4 * 1024 * 1024
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Stamp: TypeAlias = tuple[int, int, int]
"""Change time in ns, size, inode: the same stamp means the same content."""


class Fault(enum.Enum):
    """Why a file is no order."""

    GONE = enum.auto()
    NOT_A_FILE = enum.auto()
    TOO_LARGE = enum.auto()
    FORBIDDEN = enum.auto()
    UNREADABLE = enum.auto()
    """It may be half-written."""


@frozen
class Unfit:
    """A file that is no order, with a sentence for people."""

    fault: Fault
    reason: str
    stamp: Stamp = (0, 0, 0)


@frozen
class Found:
    """An order as its file has it."""

    order: Order
    stamp: Stamp
    digest: str
    """SHA-256 of the file's bytes, in hexadecimal."""

    @property
    def has_own_id(self) -> bool:
        """Whether the file itself names the order's id, so that the same id is the same order."""
        return str(self.order.wire.get("order_id") or "") == self.order.id


def stamp_of(stat: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def time_of(modified_ns: int) -> datetime:
    """A file's change time as an aware time."""
    return _EPOCH + timedelta(microseconds=modified_ns // 1000)


def read_order(
    path: str, name: str, *, max_bytes: int = MAX_FILE_BYTES, trust: Trust | None = None
) -> Found | Unfit:
    """Read the order in `path`, whose file was dropped in as `name`.

    One of somebody whom `trust` does not name is refused: it ends without being run.
    Raises `StorageUnavailable` when the disk does not give it out; whatever is wrong with the
    file itself is `Unfit`.
    """
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        return _cannot_open(path, error)
    try:
        stat = os.fstat(fd)
        stamp = stamp_of(stat)
        if not stat_modes.S_ISREG(stat.st_mode):
            return Unfit(Fault.NOT_A_FILE, f"It is {_kind(stat.st_mode)}, not a file.", stamp)
        if stat.st_size > max_bytes:
            return _too_large(stat.st_size, max_bytes, stamp)
        data = os.read(fd, stat.st_size + 1)
        while len(data) > stat.st_size and len(data) <= max_bytes:  # it grew meanwhile
            more = os.read(fd, max_bytes + 1 - len(data))
            if not more:
                break
            data += more
    except OSError as error:
        raise storage_unavailable("read", path, error) from error
    finally:
        os.close(fd)
    if len(data) > max_bytes:
        return _too_large(len(data), max_bytes, stamp)
    try:
        order = decode_order(data, name=stem_of(name), received_at=time_of(stat.st_mtime_ns))
    except UnreadableFile as error:
        return Unfit(Fault.UNREADABLE, str(error), stamp)
    if trust is not None and (problem := trust.why_not(stat)) is not None:
        order = evolve(order, refusals=(problem, *order.refusals))
    return Found(order, stamp, hashlib.sha256(data).hexdigest())


def is_being_written(path: str) -> bool:
    """Whether some process has the file open for writing, as far as this system can tell.

    Asks the kernel for a read lease, which it refuses beside a writer.  That needs the file to
    be ours (or CAP_LEASE) and Linux; where it cannot be told, the answer is no.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fd = os.open(path, _FLAGS)
    except OSError:
        return False
    try:
        # Somebody who opens it while we have the lease gets us a signal: by default SIGIO, which
        # would end the process.  SIGURG is ignored unless somebody wants it.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(fd)
    return False


def _cannot_open(path: str, error: OSError) -> Unfit:
    match error.errno:
        case errno.ENOENT:
            return Unfit(Fault.GONE, "It is gone.")
        case errno.ELOOP:
            return Unfit(Fault.NOT_A_FILE, "It is a symbolic link, which is never followed.")
        case errno.ENXIO | errno.ENODEV:
            return Unfit(Fault.NOT_A_FILE, "It is a socket or a device, not a file.")
        case errno.EACCES | errno.EPERM:
            return Unfit(
                Fault.FORBIDDEN,
                "Permission to read it is denied: let the user that Hermes runs as read it.",
            )
        case _:
            raise storage_unavailable("read", path, error) from error


def _too_large(size: int, limit: int, stamp: Stamp) -> Unfit:
    return Unfit(
        Fault.TOO_LARGE,
        f"It has {size:,} bytes; at most {limit:,} are read. Put the bulk into a file of its own "
        "and name it in the order.",
        stamp,
    )


def _kind(mode: int) -> str:
    if stat_modes.S_ISDIR(mode):
        return "a folder"
    if stat_modes.S_ISFIFO(mode):
        return "a named pipe"
    return "a special file"
