"""The file of the index: opened, thrown away when it is of no use, made anew.

Only the feeder makes it or throws it away; it holds the lock file `<name>.lock`.  Readers notice
by the file's identity that another one took its place.  Who finds it damaged leaves
`<name>.damaged` for the feeder.  SQLite sees when a file that it has open was removed, and then
leaves the log of its successor alone.

Commits are not synced, only the moving of the log into the file is: after a power cut the newest
transactions may be missing, which are lines and mark together, so they are read again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from attrs import define, field

from galaxy_adapters._files import (
    exclusive_lock,
    make_durable_folder,
    refuse_network_folder,
    storage_unavailable,
)
from galaxy_adapters._sqlite import COMPANIONS, Identity, Readers, connect, is_damage
from galaxy_adapters.index_sqlite import _schema
from galaxy_core.domain.errors import StorageUnavailable

T = TypeVar("T")

_MODE = 0o600
"""Lines tell how orders begin."""
_BUSY = timedelta(seconds=5)
_LOG_PAGES, _LOG_LIMIT_BYTES = 10_000, 8 << 20
"""Each move of the log into the file writes pages again and syncs twice: seldom is cheaper."""
_CACHE_KIB = 8_192


@define(eq=False)
class IndexFile:
    """One index as one process has it open.  Blocks; any thread may call."""

    path: Path
    _readers: Readers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._readers = Readers(lambda: _connect(self.path))

    # ---- reading

    def read(self, deed: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Ask something; `otherwise` while there is no index of our version.

        Raises `StorageUnavailable`.
        """
        try:
            identity = _identity(self.path)
            if identity is None:
                return otherwise
            connection = self._readers.take(identity)
            try:
                connection.execute("BEGIN")  # one state for all that it asks
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                answer = deed(connection) if version == _schema.VERSION else otherwise
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._readers.give_back(identity, connection)
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable("read", error) from error
        return answer

    def close(self) -> None:
        """Close what is not in use.  Safe twice."""
        self._readers.close()

    # ---- feeding

    def lock(self) -> ExitStack | None:
        """Become the one who feeds, until the stack is closed; None when somebody else does.

        Raises `StorageUnavailable`, `UnsupportedFilesystem`.
        """
        with ExitStack() as stack:
            try:
                make_durable_folder(self.path.parent)
                refuse_network_folder(self.path.parent)
                stack.enter_context(exclusive_lock(self._beside(".lock"), timeout=timedelta(0)))
            except TimeoutError:
                return None
            except OSError as error:
                if isinstance(error, StorageUnavailable):
                    raise
                raise storage_unavailable("lock", self.path, error) from error
            return stack.pop_all()

    def open_for_feeding(self) -> sqlite3.Connection:
        """Open it, made anew where it is missing, damaged or of another version.

        Raises `StorageUnavailable`.
        """
        try:
            if self.is_reported_damaged():
                self._throw_away()
            try:
                return self._open()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._throw_away()
                return self._open()
        except (sqlite3.Error, OSError) as error:
            raise self.unavailable("open", error) from error

    def is_reported_damaged(self) -> bool:
        """Whether anybody has found it damaged."""
        return os.path.lexists(self._beside(".damaged"))

    def unavailable(self, deed: str, error: sqlite3.Error | OSError) -> StorageUnavailable:
        """What SQLite or the system says, in our words; damage is reported to the feeder."""
        if isinstance(error, StorageUnavailable):
            return error
        if isinstance(error, OSError):
            return storage_unavailable(deed, self.path, error)
        if is_damage(error):
            with contextlib.suppress(OSError):
                self._beside(".damaged").touch()
        return StorageUnavailable(f"Cannot {deed} the index {self.path}: {error}.")

    def _open(self) -> sqlite3.Connection:
        with contextlib.suppress(FileExistsError):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(self.path, flags, _MODE))
        connection = _connect(self.path)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            tables = connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
            if version != _schema.VERSION and tables:
                connection.close()
                self._throw_away()
                return self._open()
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
            connection.execute(f"PRAGMA journal_size_limit = {_LOG_LIMIT_BYTES}")
            if not tables:
                _schema.create(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _throw_away(self) -> None:
        for ending in ("", *COMPANIONS, ".damaged"):
            self._beside(ending).unlink(missing_ok=True)

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)


def _connect(path: Path) -> sqlite3.Connection:
    connection = connect(path, patience=_BUSY)
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _identity(path: Path) -> Identity | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
