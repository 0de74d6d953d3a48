"""The tables, and how values stand in them.

Words that come again and again (types, machines, trails) stand once in `names`.  What is asked
for often is counted in `counters` when lines are added.  Times are microseconds since 1970.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from galaxy_core.domain.audit import AuditEvent, AuditSeverity

VERSION = 2
"""Another one is thrown away and made anew: raise it with every change of what is kept."""

SCHEMA = (
    "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """CREATE TABLE lines (
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, type INTEGER NOT NULL,
        severity INTEGER NOT NULL, machine INTEGER, order_id TEXT, data TEXT NOT NULL,
        trail INTEGER NOT NULL)""",
    "CREATE INDEX lines_at ON lines (at)",
    "CREATE INDEX lines_type ON lines (type, at)",
    "CREATE INDEX lines_loud ON lines (severity, at) WHERE severity > 0",
    "CREATE INDEX lines_order ON lines (order_id) WHERE order_id IS NOT NULL",
    """CREATE TABLE orders (
        order_id TEXT NOT NULL, trail INTEGER NOT NULL, machine INTEGER, outcome TEXT,
        ended_at INTEGER, run_seconds REAL, tokens INTEGER, cost_usd REAL, delivered_at INTEGER,
        PRIMARY KEY (order_id, trail)) WITHOUT ROWID""",
    """CREATE INDEX orders_ended ON orders (ended_at, outcome, machine, run_seconds, tokens,
        cost_usd) WHERE ended_at IS NOT NULL""",
    """CREATE INDEX orders_bad ON orders (outcome, ended_at)
        WHERE ended_at IS NOT NULL AND outcome != 'succeeded'""",
    """CREATE TABLE counters (
        kind TEXT NOT NULL, a TEXT NOT NULL, b TEXT NOT NULL, number REAL NOT NULL,
        PRIMARY KEY (kind, a, b)) WITHOUT ROWID""",
    "CREATE TABLE marks (trail TEXT PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID",
)
TABLES = ("lines", "orders", "counters", "marks", "names")

ENDED, EARLIER, EARLIER_KNOWN, EVENT = "ended", "earlier", "earlier-known", "event"
RUN, RUN_TOTAL, DELIVERY, DELIVERY_TOTAL = "run", "run-total", "delivery", "delivery-total"
"""Kinds of counters."""

SEVERITIES = tuple(AuditSeverity)
"""By their number; the first one is the ordinary one."""

Row: TypeAlias = tuple[int, str, int, str | None, str | None, str]
"""Time, type, severity, machine, order, data."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode
_LONGEST_DATA = 1 << 16


def micros(at: datetime) -> int:
    """A time as it stands in the tables."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """A time as it is outside."""
    return _EPOCH + timedelta(microseconds=at)


def plain(text: str) -> str:
    """Text that SQLite takes: a lone surrogate, which JSON can carry, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def data_of(event: AuditEvent) -> str:
    """Further keys of a line, as JSON."""
    try:
        text = plain(_encode(dict(event.data)))
    except (ValueError, RecursionError):  # a value inside itself, or far too deep
        return _encode({"data_left_out": True})
    # The trail has it in full; nobody searches for the end of a megabyte.
    return text if len(text) <= _LONGEST_DATA else _encode({"data_left_out": len(text)})


def event_of(row: Row) -> AuditEvent:
    """A line as it was told."""
    at, event_type, severity, machine, order_id, data = row
    return AuditEvent(
        timestamp=moment(at),
        event_type=event_type,
        severity=SEVERITIES[severity],
        order_id=order_id,
        machine=machine,
        data=json.loads(data),
    )


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of an empty file."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
