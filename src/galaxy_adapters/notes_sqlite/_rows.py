"""The table, and what each method of the port does in it.

Texts are stored as bytes: SQLite's own texts know no half characters and end at a NUL.
`number` is the place in the order of arrival; it stays when a note is replaced.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.note_store import ClosedKey, Note

SCHEMA_VERSION = 1
_TABLE = (
    "CREATE TABLE notes ("
    " number INTEGER PRIMARY KEY,"
    " kind BLOB NOT NULL,"
    " key BLOB NOT NULL,"
    " value BLOB,"
    " closed_at INTEGER,"
    " UNIQUE (kind, key),"
    " CHECK ((value IS NULL) = (closed_at IS NOT NULL)))"
)
SCHEMA = (
    _TABLE,
    "CREATE INDEX notes_open ON notes (kind, number) WHERE closed_at IS NULL",
    "CREATE INDEX notes_closed ON notes (kind, closed_at) WHERE closed_at IS NOT NULL",
)

Row: TypeAlias = tuple[bytes, bytes, bytes]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def rows_of(notes: Iterable[Note]) -> list[Row]:
    """Kind, key and value of each note, as they are stored.  Raises `TypeError`, `ValueError`."""
    return [
        (blob(note.kind), blob(note.key), blob(_ENCODER.encode(dict(note.value)))) for note in notes
    ]


def blob(text: str) -> bytes:
    """A text with all that Python allows in one."""
    return text.encode("utf-8", "surrogatepass")


def get(connection: sqlite3.Connection, kind: str, key: str) -> Note | None:
    """The note, unless it is closed."""
    found = connection.execute(
        "SELECT value FROM notes WHERE kind = ? AND key = ? AND closed_at IS NULL",
        (blob(kind), blob(key)),
    ).fetchone()
    return None if found is None else _note(kind, key, found[0])


def list_open(connection: sqlite3.Connection, kind: str) -> list[Note]:
    """Notes of a kind in the order of their arrival."""
    found = connection.execute(
        "SELECT key, value FROM notes WHERE kind = ? AND closed_at IS NULL ORDER BY number",
        (blob(kind),),
    )
    return [_note(kind, _text(key), value) for key, value in found]


def add(connection: sqlite3.Connection, rows: Sequence[Row]) -> frozenset[str]:
    """Insert what is not known; the keys that were new."""
    new = set()
    for row in rows:
        done = connection.execute(
            "INSERT INTO notes (kind, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, key) DO NOTHING",
            row,
        )
        if done.rowcount == 1:
            new.add(_text(row[1]))
    return frozenset(new)


def put(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Insert or replace."""
    connection.executemany(
        "INSERT INTO notes (kind, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value, closed_at = NULL",
        rows,
    )


def close(connection: sqlite3.Connection, kind: str, keys: Sequence[str], at: datetime) -> None:
    """Take the values away; what is closed already keeps its time."""
    connection.executemany(
        "INSERT INTO notes (kind, key, closed_at) VALUES (?, ?, ?)"
        " ON CONFLICT (kind, key) DO UPDATE SET value = NULL, closed_at = excluded.closed_at"
        " WHERE closed_at IS NULL",
        [(blob(kind), blob(key), _microseconds(at)) for key in keys],
    )


def prune(connection: sqlite3.Connection, kind: str, before: datetime) -> int:
    """Delete the keys that were closed before then."""
    return connection.execute(
        "DELETE FROM notes WHERE kind = ? AND closed_at < ?", (blob(kind), _microseconds(before))
    ).rowcount


def list_closed(
    connection: sqlite3.Connection, kind: str, after: ClosedKey | None, limit: int
) -> list[ClosedKey]:
    """Closed keys of a kind behind a place, in the order of closing."""
    place = (-1, b"") if after is None else (_microseconds(after.at), blob(after.key))
    found = connection.execute(
        "SELECT key, closed_at FROM notes WHERE kind = ? AND closed_at >= ?"
        " AND (closed_at, key) > (?, ?) ORDER BY closed_at, key LIMIT ?",
        (blob(kind), place[0], *place, max(0, limit)),
    )
    return [
        ClosedKey(key=_text(key), at=_EPOCH + timedelta(microseconds=closed_at))
        for key, closed_at in found
    ]


def _note(kind: str, key: str, value: bytes) -> Note:
    try:
        return Note(kind=kind, key=key, value=json.loads(_text(value)))
    except ValueError as error:
        # Not by us: a bad disk, or somebody's UPDATE.
        raise StorageUnavailable(
            f"Cannot read the note {key[:100]!a} of the kind {kind!a}: {error}."
            " Mend it in the database, or delete it there."
        ) from error


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
