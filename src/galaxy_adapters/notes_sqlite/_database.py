"""Connections to the database, for threads: one that writes, some that read.

The file at the path is the store: a look at its inode before each call finds one that was
moved, set aside or removed meanwhile, and one after each commit that what was written is in it.
After an error that says more than "not now" the database is checked anew at the next call.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar

from attrs import define, field

from galaxy_adapters._sqlite import Identity, Readers
from galaxy_adapters.notes_sqlite._errors import (
    copy_of,
    is_harmless,
    is_of_one_call,
    leaves_connection,
    refusal,
)
from galaxy_adapters.notes_sqlite._opening import Opening, connect_ready, identity_of
from galaxy_core.domain.errors import StorageUnavailable

T = TypeVar("T")
Deed: TypeAlias = Callable[[sqlite3.Connection], object]
"""What one call does inside a transaction; done again from the start when that is rolled back."""


@define(eq=False)
class Database:
    """One process's connections."""

    opening: Opening
    _identity: Identity | None = field(default=None, init=False)
    """The file that was checked; None: the next call checks."""
    _writer: tuple[Identity, sqlite3.Connection] | None = field(default=None, init=False)
    """Touched by whoever writes, and by nobody else."""
    _readers: Readers = field(init=False)
    _is_closed: bool = field(default=False, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._readers = Readers(self._connect)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.opening.path

    def open(self) -> None:
        """Make and check the database now instead of at the first call."""
        with self._translated("open"):
            self._ready()

    def read(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        """Look something up.  Safe in several threads.  Raises `StorageUnavailable`."""
        with self._translated("read"):
            identity = self._ready()
            connection = self._readers.take(identity)
            try:
                answer = deed(connection)
            except BaseException:
                connection.close()
                raise
            self._give_back(identity, connection)
            return answer

    def write(self, deeds: Sequence[Deed]) -> list[object]:
        """Do all of it in one transaction with one sync; for one thread at a time.

        Returns each deed's answer, or the `StorageUnavailable` because of which nothing of it
        was done.  A deed that is too big for the disk does not take the others along.
        """
        try:
            return self._write_together(deeds)
        except StorageUnavailable as error:
            if len(deeds) == 1 or not is_of_one_call(error.__cause__):
                return [copy_of(error) for _ in deeds]
        return [answer for deed in deeds for answer in self.write([deed])]

    def close(self) -> None:
        """Close all connections, after the last write has returned.  Safe twice."""
        with self._lock:
            self._is_closed = True
        self._readers.close()
        self._drop_writer()

    def closed(self) -> StorageUnavailable:
        """What calls after the end are told."""
        return StorageUnavailable(f"Cannot use {self.path}: this process has closed it.")

    def _write_together(self, deeds: Sequence[Deed]) -> list[object]:
        with self._translated("write"):
            identity = self._ready()
            connection = self._writer_of(identity)
            try:
                connection.execute("BEGIN IMMEDIATE")
                answers = [deed(connection) for deed in deeds]
                connection.execute("COMMIT")
            except BaseException as error:
                self._roll_back(connection, is_kept=leaves_connection(error))
                raise
            if identity_of(self.path) != identity:
                raise StorageUnavailable(
                    f"Cannot write {self.path}: it was moved away while it was written to."
                )
            return answers

    def _roll_back(self, connection: sqlite3.Connection, *, is_kept: bool) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            is_kept = False  # closing it rolls back too
        if not is_kept:
            self._drop_writer()

    def _writer_of(self, identity: Identity) -> sqlite3.Connection:
        if self._writer is not None and self._writer[0] != identity:
            self._drop_writer()
        if self._writer is None:
            self._writer = (identity, self._connect())
        return self._writer[1]

    def _connect(self) -> sqlite3.Connection:
        return connect_ready(self.path, patience=self.opening.patience)

    def _drop_writer(self) -> None:
        if self._writer is not None:
            self._writer[1].close()
            self._writer = None

    def _give_back(self, identity: Identity, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._is_closed:
                self._readers.give_back(identity, connection)
                return
        connection.close()

    def _ready(self) -> Identity:
        with self._lock:
            if self._is_closed:
                raise self.closed()
            there = identity_of(self.path)
            if there is None or there != self._identity:
                self._identity = None
                self._identity = self.opening.prepare()
            return self._identity

    @contextlib.contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        """Turn what SQLite and the system raise into `StorageUnavailable`."""
        try:
            yield
        except (sqlite3.Error, OSError, MemoryError) as error:
            if not is_harmless(error):
                with self._lock:
                    self._identity = None
            unavailable = refusal(deed, self.path, error)
            if unavailable is None:
                raise
            raise unavailable from error
