"""Adding lines: they, what they say about orders, the counters and the mark in one transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import define, field

from galaxy_adapters.index_sqlite import _schema
from galaxy_adapters.index_sqlite._schema import data_of, micros, plain
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.trail_facts import (
    DELIVERY_BOUNDS,
    RUN_BOUNDS,
    AnswerDelivered,
    OrderEnded,
    bucket,
    fact_of,
)

_Key: TypeAlias = tuple[str, str, str]
_FORGOTTEN_AT_ONCE = 10_000
"""So that readers' figures and new lines never wait for long."""
_NUMBERS = {severity: number for number, severity in enumerate(_schema.SEVERITIES)}


@define
class Adding:
    """One transaction's worth of lines."""

    _connection: sqlite3.Connection
    _ids: dict[str, int]
    """Numbers of names that are known already; new ones are added."""
    _hits: Counter[_Key] = field(factory=Counter, init=False)
    _sums: dict[_Key, float] = field(factory=dict, init=False)

    def add(self, trail: str, events: Sequence[AuditEvent], mark: str) -> None:
        """Add the lines of a trail; the caller begins and commits."""
        place = self._id(trail)
        rows = []
        for event in events:
            machine = None if event.machine is None else self._id(event.machine)
            type_id, severity = self._id(event.event_type), _NUMBERS[event.severity]
            at = micros(event.timestamp)
            order_id = None if event.order_id is None else plain(event.order_id)
            rows.append((at, type_id, severity, machine, order_id, data_of(event), place))
            self._hits[_schema.EVENT, plain(event.event_type), ""] += 1
            match fact_of(event):
                case OrderEnded() as ended:
                    self._end(place, ended)
                case AnswerDelivered() as delivered:
                    self._deliver(place, delivered)
                case None:
                    pass
        self._connection.executemany(
            "INSERT INTO lines (at, type, severity, machine, order_id, data, trail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._write_counters()
        self._connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (trail, mark))

    def _end(self, trail: int, fact: OrderEnded) -> None:
        ended_at = micros(fact.at)
        found = self._connection.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)"
            " ON CONFLICT DO UPDATE SET machine = excluded.machine, outcome = excluded.outcome,"
            " ended_at = excluded.ended_at, run_seconds = excluded.run_seconds,"
            " tokens = excluded.tokens, cost_usd = excluded.cost_usd WHERE ended_at IS NULL"
            " RETURNING delivered_at",
            (
                *(plain(fact.order_id), trail, self._id(fact.machine)),
                *(fact.outcome.value, ended_at),
                *(fact.run_seconds, fact.tokens, fact.cost_usd),
            ),
        ).fetchone()
        if found is None:  # told before
            return
        self._hits[_schema.ENDED, plain(fact.machine), fact.outcome.value] += 1
        if fact.run_seconds is not None:
            self._hits[_schema.RUN, str(bucket(RUN_BOUNDS, fact.run_seconds)), ""] += 1
            self._sum(_schema.RUN_TOTAL, fact.run_seconds)
        self._took(ended_at, found[0])

    def _deliver(self, trail: int, fact: AnswerDelivered) -> None:
        delivered_at = micros(fact.at)
        found = self._connection.execute(
            "INSERT INTO orders (order_id, trail, delivered_at) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET delivered_at = excluded.delivered_at"
            " WHERE delivered_at IS NULL RETURNING ended_at",
            (plain(fact.order_id), trail, delivered_at),
        ).fetchone()
        if found is not None:
            self._took(found[0], delivered_at)

    def _took(self, ended_at: int | None, delivered_at: int | None) -> None:
        """Count the time from an end to its delivery, once both are known, in either order."""
        if ended_at is None or delivered_at is None:
            return
        seconds = max(0, delivered_at - ended_at) / 1_000_000
        self._hits[_schema.DELIVERY, str(bucket(DELIVERY_BOUNDS, seconds)), ""] += 1
        self._sum(_schema.DELIVERY_TOTAL, seconds)

    def _sum(self, kind: str, seconds: float) -> None:
        key = (kind, "", "")
        self._sums[key] = self._sums.get(key, 0.0) + seconds

    def _write_counters(self) -> None:
        self._connection.executemany(
            "INSERT INTO counters VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET number = number + excluded.number",
            [(*key, number) for known in (self._hits, self._sums) for key, number in known.items()],
        )

    def _id(self, name: str) -> int:
        number = self._ids.get(name)
        if number is None:
            text = plain(name)
            self._connection.execute("INSERT OR IGNORE INTO names (name) VALUES (?)", (text,))
            ((number,),) = self._connection.execute("SELECT id FROM names WHERE name = ?", (text,))
            self._ids[name] = number
        return number


def add_earlier(
    connection: sqlite3.Connection, machine: str, ended: Mapping[OrderState, int]
) -> None:
    """Count orders from before there was a trail; the caller begins and commits."""
    connection.execute(
        "DELETE FROM counters WHERE a = ? AND kind IN (?, ?)",
        (machine, _schema.EARLIER, _schema.EARLIER_KNOWN),
    )
    rows = [(_schema.EARLIER, machine, state.value, number) for state, number in ended.items()]
    connection.executemany(
        "INSERT INTO counters VALUES (?, ?, ?, ?)",
        [*rows, (_schema.EARLIER_KNOWN, machine, "", 1)],
    )


def forget_before(connection: sqlite3.Connection, trail: str, first: AuditEvent) -> int:
    """Forget some lines of the trail that stand before this one; the caller begins and commits.

    Lines of a trail are added in its order, so their numbers tell which stood before.
    """
    ((place, number),) = connection.execute(
        "SELECT names.id, MIN(lines.id) FROM lines JOIN names ON names.id = lines.trail"
        " JOIN names types ON types.id = lines.type WHERE lines.at = ? AND names.name = ?"
        " AND types.name = ? AND lines.order_id IS ? AND lines.data = ?",
        (
            *(micros(first.timestamp), trail, plain(first.event_type)),
            *(None if first.order_id is None else plain(first.order_id), data_of(first)),
        ),
    )
    if number is None:
        return 0
    return connection.execute(
        "DELETE FROM lines WHERE id IN"
        " (SELECT id FROM lines WHERE id < ? AND trail = ? ORDER BY id LIMIT ?)",
        (number, place, _FORGOTTEN_AT_ONCE),
    ).rowcount


def forget(connection: sqlite3.Connection) -> None:
    """Empty every table; the caller begins and commits."""
    for table in _schema.TABLES:
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
