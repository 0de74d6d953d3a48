"""What SQLite says, as an error that tells a person what to do."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

from galaxy_adapters._files import storage_unavailable
from galaxy_adapters._sqlite import plain_code
from galaxy_core.domain.errors import GalaxyError, StorageUnavailable

_SHARED_MEMORY_FULL = sqlite3.SQLITE_IOERR | (19 << 8)
"""SQLITE_IOERR_SHMSIZE: the file `-shm` could not grow."""

_HARMLESS = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG}
)
_NO_SPACE = "no space is left on the disk: free some"
_READ_ONLY = "it may only be read: make file and folder writable, or remount the disk"

_ADVICE = {
    sqlite3.SQLITE_FULL: (errno.ENOSPC, _NO_SPACE),
    _SHARED_MEMORY_FULL: (errno.ENOSPC, _NO_SPACE),
    sqlite3.SQLITE_BUSY: (errno.EAGAIN, "another process keeps it locked: end that one"),
    sqlite3.SQLITE_LOCKED: (errno.EAGAIN, "another task keeps it locked: try again"),
    sqlite3.SQLITE_READONLY: (errno.EROFS, _READ_ONLY),
    sqlite3.SQLITE_PERM: (errno.EACCES, _READ_ONLY),
    sqlite3.SQLITE_CANTOPEN: (
        errno.EACCES,
        "it cannot be opened: look at the permissions of the file and its folder",
    ),
    sqlite3.SQLITE_IOERR: (
        errno.EIO,
        "the disk reported an input/output error: look into the kernel log, check the disk",
    ),
    sqlite3.SQLITE_TOOBIG: (errno.EFBIG, "a value is larger than SQLite takes"),
    sqlite3.SQLITE_CORRUPT: (errno.EIO, "it is damaged; it is looked into at the next call"),
    sqlite3.SQLITE_NOTADB: (errno.EIO, "it is no database; it is looked into at the next call"),
}


def refusal(deed: str, path: Path, error: BaseException) -> StorageUnavailable | None:
    """Say that `deed` ("read", "write") failed, why, and what to do; None: it needs no words."""
    if isinstance(error, GalaxyError):
        return None
    if isinstance(error, OSError):
        return storage_unavailable(deed, path, error)
    if isinstance(error, MemoryError):
        return StorageUnavailable(f"Cannot {deed} {path}: there is not enough memory.")
    plain = plain_code(error)
    if not isinstance(error, sqlite3.Error) or plain is None:
        return None
    number, why = _ADVICE.get(error.sqlite_errorcode) or _ADVICE.get(plain) or (None, str(error))
    unavailable = StorageUnavailable(f"Cannot {deed} {path}: {why} ({error.sqlite_errorname}).")
    unavailable.errno = number
    return unavailable


def is_of_one_call(error: BaseException | None) -> bool:
    """Whether a smaller transaction may succeed where this one failed."""
    return plain_code(error) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_TOOBIG}


def is_harmless(error: BaseException | None) -> bool:
    """Whether the file is as good as before."""
    return plain_code(error) in _HARMLESS


def leaves_connection(error: BaseException | None) -> bool:
    """Whether to go on with the connection.

    After a failed sync too: it knows that the log ends before what it could not sync, and writes
    over it.  One opened anew would find a whole transaction there that the caller was refused.
    """
    return is_harmless(error) or plain_code(error) == sqlite3.SQLITE_IOERR


def is_full(error: BaseException | None) -> bool:
    """Whether there was no room."""
    return plain_code(error) == sqlite3.SQLITE_FULL


def copy_of(error: StorageUnavailable) -> StorageUnavailable:
    """One for each caller: a shared exception would collect everybody's tracebacks."""
    copy = StorageUnavailable(str(error), retry_after=error.retry_after)
    copy.errno = error.errno
    copy.__cause__ = error.__cause__
    return copy
