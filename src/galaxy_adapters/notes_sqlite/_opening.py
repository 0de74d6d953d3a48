"""Making the database ready: made when it is missing, checked, set aside when it is broken.

Whoever does this holds the lock file `<name>.lock`, so that of several processes one makes the
database and one sets it aside.  A process that dies while it makes one leaves an empty file,
which is a valid empty database.  One that dies while it sets one aside has written the reason
first and moves the database before its `-wal` and `-shm`; these without a database are moved
on by the next process, since a new database must never meet an old one's.

A process that was killed between writing a transaction and syncing it leaves one that counts but
that a power cut would undo; so the log is synced before anybody is told what is known.

SQLite forgets its locks when this process opens and closes the database file by itself, so that
is done only to create it.
"""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import sqlite3
import stat
import time
from datetime import timedelta
from pathlib import Path

from attrs import frozen

from galaxy_adapters._files import (
    create_durably,
    exclusive_lock,
    make_durable_folder,
    refuse_network_folder,
    rename_exclusively,
    sync_directory,
)
from galaxy_adapters._sqlite import COMPANIONS, Identity, connect, is_damage
from galaxy_adapters.notes_sqlite._errors import is_full
from galaxy_adapters.notes_sqlite._rows import SCHEMA, SCHEMA_VERSION
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink

RETOLD_FOR = timedelta(days=1)
"""Incidents of this age are reported at each start: the last process may have died first."""
_REASON = ".reason"
_MODE = 0o600
_WAL_LIMIT_BYTES = 16 << 20
"""What a burst leaves of the log is cut down to this."""


def identity_of(path: Path) -> Identity | None:
    """Which file stands there; None when there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def connect_ready(path: Path, *, patience: timedelta) -> sqlite3.Connection:
    """Open a database that was made ready; any thread may use it, one at a time."""
    connection = connect(path, patience=patience)
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    # Else macOS leaves what was "synced" in the drive's cache.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")


def _create_table(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


@frozen
class Opening:
    """One database, and whom to tell about it."""

    path: Path
    clock: Clock
    incidents: IncidentSink
    patience: timedelta

    def prepare(self) -> Identity:
        """Leave a whole database of our version at `path`; which file it is.  Blocks.

        Raises `StorageUnavailable`, `OSError`, `UnsupportedFilesystem`, `sqlite3.Error`.
        """
        make_durable_folder(self.path.parent)
        refuse_network_folder(self.path.parent)
        with exclusive_lock(self._beside(".lock"), timeout=self.patience):
            self._make()
            fault = self._check()
            if fault is not None:
                self._make()
                fault = self._check()
            if fault is not None:
                raise StorageUnavailable(f"Cannot make {self.path}: {fault}")
            self._protect()
            identity = identity_of(self.path)
        self._tell()
        if identity is None:
            raise StorageUnavailable(f"Cannot open {self.path}: it has just been removed.")
        return identity

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(self.path.name + ending)

    def _make(self) -> None:
        """Create the file, for nobody but us to read, unless there is one."""
        try:
            kind = os.lstat(self.path).st_mode
        except FileNotFoundError:
            if any(os.path.lexists(self._beside(ending)) for ending in COMPANIONS):
                self._set_aside("It was left without its database.")
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            os.close(os.open(self.path, flags, _MODE))
            sync_directory(self.path.parent)
            return
        if not stat.S_ISREG(kind):
            raise StorageUnavailable(f"Cannot open {self.path}: it is no plain file. Move it away.")

    def _protect(self) -> None:
        """Take from others what an editor or a copy gave them; new files are made so."""
        for ending in ("", *COMPANIONS):
            with contextlib.suppress(FileNotFoundError):
                file = self._beside(ending)
                if os.lstat(file).st_mode & 0o077:
                    os.chmod(file, _MODE)

    def _check(self) -> str | None:
        """Look whether the database is whole and ours; else set it aside and say what is wrong."""
        connection = connect(self.path, patience=self.patience)
        try:
            fault = self._fault(connection)
            if fault is not None:
                # While the connection is open: SQLite sees that the file was moved, and then
                # leaves its log alone when it closes.
                self._set_aside(fault)
            return fault
        finally:
            connection.close()

    def _fault(self, connection: sqlite3.Connection) -> str | None:
        try:
            _set_up(connection)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise StorageUnavailable(
                    f"Cannot open {self.path}: a newer version of this program wrote it (schema"
                    f" {version}, this one knows {SCHEMA_VERSION}). Install that version again, or"
                    " move the file away to begin without what it holds."
                )
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                return f"It is damaged: {found.splitlines()[-1]}."
            if version == 0 and connection.execute("SELECT * FROM sqlite_master").fetchall():
                raise self._foreign()
            if version:
                connection.execute("SELECT number, kind, key, value, closed_at FROM notes LIMIT 0")
            self._use_log(connection)
            if not version:
                _create_table(connection)
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                return f"SQLite cannot read it: {error}."
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
                raise self._foreign() from error
            raise
        return None

    def _use_log(self, connection: sqlite3.Connection) -> None:
        """Have a write-ahead log, with nothing in it that is not synced."""
        ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StorageUnavailable(
                f"Cannot open {self.path}: its file system does not let SQLite keep a write-ahead"
                " log (shared memory is missing). Use a folder on a local disk."
            )
        # The change of the journal leaves a lock (SQLite 3.40) which the next read takes away.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.OperationalError as error:
            if not is_full(error):  # the log is synced first, and may stay as it is
                raise

    def _foreign(self) -> StorageUnavailable:
        return StorageUnavailable(
            f"Cannot open {self.path}: it is another program's database. Move it away."
        )

    def _set_aside(self, reason: str) -> None:
        """Rename the database and what belongs to it; nothing of it is changed or removed."""
        stem = f"{self.path.name}.corrupt-{self.clock.now():%Y%m%dT%H%M%SZ}"
        for number in itertools.count(1):
            kept = self.path.with_name(stem if number == 1 else f"{stem}-{number}")
            note = kept.with_name(kept.name + _REASON)
            if create_durably(note, reason.encode("utf-8", "replace") + b"\n", mode=_MODE):
                break
        for ending in ("", *COMPANIONS):
            with contextlib.suppress(FileNotFoundError):
                rename_exclusively(
                    os.fspath(self._beside(ending)), os.fspath(kept.with_name(kept.name + ending))
                )
        sync_directory(self.path.parent)

    def _tell(self) -> None:
        """Report what was set aside lately, in case nobody has heard of it."""
        oldest = time.time() - RETOLD_FOR.total_seconds()
        for note in sorted(
            self.path.parent.glob(f"{glob.escape(self.path.name)}.corrupt-*{_REASON}")
        ):
            with contextlib.suppress(FileNotFoundError):
                if note.stat().st_mtime < oldest:
                    continue
                kept = note.name.removesuffix(_REASON)
                reason = note.read_text("utf-8", "replace").strip()
                self.incidents.report(_incident(self.path.name, kept, reason))


def _incident(name: str, kept: str, reason: str) -> Incident:
    return Incident(
        kind="notes_set_aside",
        message=(
            f"The gateway's notes ({name}) could not be used and were kept as {kept}. {reason}"
            " New ones were begun: questions that were open and people who were paired are"
            " forgotten, and a message may be taken twice. To have the old ones back, stop the"
            f" gateway, mend the file (`sqlite3 {kept} .recover`) and rename it to {name}."
        ),
        key=f"notes_set_aside:{kept}",
        severity=IncidentSeverity.ERROR,
        is_for_people=True,
        data={"file": kept, "reason": reason},
    )
