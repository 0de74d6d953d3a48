"""What the adapters that keep something in SQLite share."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from attrs import define, field

Identity: TypeAlias = tuple[int, int]
"""Device and inode: another file may take a database's place."""

COMPANIONS = ("-wal", "-shm", "-journal")
"""Endings of what lies beside a database; the last one is there only while a new one is turned to a
write-ahead log."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRIMARY = 0xFF
"""SQLite's extended codes hold the plain one in their lowest byte."""


def connect(path: Path, *, patience: timedelta) -> sqlite3.Connection:
    """Open a file that is there; any thread may use it, one at a time.

    Nothing is read yet: the first statement does.  Transactions begin and end where it is written.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=patience.total_seconds(),
        isolation_level=None,
        check_same_thread=False,
    )


def plain_code(error: BaseException | None) -> int | None:
    """SQLite's plain code; None for an error that has none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & _PRIMARY if isinstance(code, int) else None


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite takes the file for broken."""
    return plain_code(error) in _DAMAGED


@define(eq=False)
class Readers:
    """Connections that only read, kept for the next who looks something up, in any thread."""

    _connect: Callable[[], sqlite3.Connection]
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _idle: list[tuple[Identity, sqlite3.Connection]] = field(factory=list, init=False)

    def take(self, identity: Identity) -> sqlite3.Connection:
        """Give one to that very file; those to others are closed."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                known, connection = self._idle.pop()
            if known == identity:
                return connection
            connection.close()
        connection = self._connect()
        try:
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def give_back(self, identity: Identity, connection: sqlite3.Connection) -> None:
        """Keep one that is as good as before."""
        with self._lock:
            self._idle.append((identity, connection))

    def close(self) -> None:
        """Close those that are not in use.  Safe twice."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()
