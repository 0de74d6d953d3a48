"""One SQLite file with a write-ahead log: one connection that writes, one that reads.

A commit is synced before its caller hears of it, unless it may be lost (the state of a card).  A
process killed in the middle leaves a transaction without its end, which the next one passes over.
A database that is damaged is kept under another name, reported, and begun anew: a page that
cannot be opened costs more than its past.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from attrs import define, field

from galaxy_adapters._files import (
    make_durable_folder,
    refuse_network_folder,
    storage_unavailable,
    sync_directory,
)
from galaxy_adapters._sqlite import COMPANIONS, connect, is_damage
from galaxy_adapters.channel_web._schema import NUMBER_STEP, TABLES, VERSION
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink

T = TypeVar("T")

_BUSY = timedelta(seconds=10)


@define(eq=False)
class Database:
    """The file at `path`, for one event loop of one process."""

    path: Path
    _clock: Clock
    _incidents: IncidentSink
    _writer: sqlite3.Connection | None = field(default=None, init=False)
    _reader: sqlite3.Connection | None = field(default=None, init=False)
    _writing: CapacityLimiter = field(factory=lambda: CapacityLimiter(1), init=False)
    _reading: CapacityLimiter = field(factory=lambda: CapacityLimiter(1), init=False)

    async def open(self) -> None:
        """Make or check the file.  Raises `StorageUnavailable`."""
        await to_thread.run_sync(self._open, limiter=self._writing)

    async def close(self) -> None:
        """Close it, after what is being written.  Safe twice."""
        await to_thread.run_sync(self._close, limiter=self._writing)

    async def read(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        """Look something up, in one state of the database.  Raises `StorageUnavailable`."""
        return await to_thread.run_sync(self._read, deed, limiter=self._reading)

    async def write(self, deed: Callable[[sqlite3.Connection], T], *, is_synced: bool = True) -> T:
        """Do it in one transaction; all or nothing.  Raises `StorageUnavailable`."""
        return await to_thread.run_sync(self._write, deed, is_synced, limiter=self._writing)

    # ---- in threads

    def _read(self, deed: Callable[[sqlite3.Connection], T]) -> T:
        with self._translated("read"):
            connection = self._opened(self._reader)
            connection.execute("BEGIN")
            try:
                return deed(connection)
            finally:
                connection.execute("ROLLBACK")

    def _write(self, deed: Callable[[sqlite3.Connection], T], is_synced: bool) -> T:  # noqa: FBT001 - run_sync passes no names
        with self._translated("write"):
            connection = self._opened(self._writer)
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_synced else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                answer = deed(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return answer

    def _opened(self, connection: sqlite3.Connection | None) -> sqlite3.Connection:
        if connection is None:
            raise StorageUnavailable(f"Cannot use {self.path}: it is not open.")
        return connection

    def _open(self) -> None:
        if self._writer is not None:
            return
        make_durable_folder(self.path.parent, mode=0o700)
        refuse_network_folder(self.path.parent)
        with self._translated("open"):
            try:
                self._prepare()
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._set_aside(str(error))
                self._prepare()

    def _prepare(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            sync_directory(self.path.parent)
        writer = self._connect()
        try:
            version = self._checked(writer)
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("BEGIN IMMEDIATE")
            if version == 0:
                for statement in filter(str.strip, TABLES.split(";")):
                    writer.execute(statement)
                writer.execute(f"PRAGMA user_version = {VERSION}")
            writer.execute("UPDATE numbers SET last = last + ?", (NUMBER_STEP,))
            writer.execute("COMMIT")
            reader = self._connect()
            reader.execute("PRAGMA query_only = ON")
        except BaseException:
            writer.close()
            raise
        self._writer, self._reader = writer, reader

    def _checked(self, connection: sqlite3.Connection) -> int:
        """The version of what is in it; 0 for nothing."""
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            damaged = sqlite3.DatabaseError(found)
            damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise damaged
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise StorageUnavailable(
                f"Cannot open {self.path}: a newer version of this program wrote it. Install"
                " that version again, or move the file away to begin without its past."
            )
        return version

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self.path, patience=_BUSY)
        connection.execute("PRAGMA trusted_schema = OFF")
        return connection

    def _close(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def _set_aside(self, reason: str) -> None:
        kept = self.path.with_name(f"{self.path.name}.corrupt-{self._clock.now():%Y%m%dT%H%M%S%fZ}")
        for ending in ("", *COMPANIONS):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + ending).rename(f"{kept}{ending}")
        sync_directory(self.path.parent)
        self._incidents.report(
            Incident(
                kind="history_set_aside",
                message=(
                    f"The page's history could not be read and was kept as {kept.name}. A new one"
                    " was begun. Orders and answers are not touched by this; a message that was"
                    " just sent may have to be sent again."
                ),
                key=f"history_set_aside:{kept.name}",
                severity=IncidentSeverity.ERROR,
                is_for_people=True,
                data={"file": kept.name, "reason": reason},
            )
        )

    @contextlib.contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, StorageUnavailable):
                raise
            raise storage_unavailable(deed, self.path, error) from error
        except sqlite3.Error as error:
            raise StorageUnavailable(
                f"Cannot {deed} {self.path}: {error}. Look at the disk and its permissions."
            ) from error
