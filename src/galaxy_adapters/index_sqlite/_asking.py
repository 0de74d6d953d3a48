"""Questions to the index, each a function over a connection; whatever is asked is bound."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from galaxy_adapters.index_sqlite import _schema
from galaxy_adapters.index_sqlite._schema import Row, event_of, micros, plain
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import AuditPage, Slot
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.trail_facts import DELIVERY_BOUNDS, RUN_BOUNDS, histogram, rank
from galaxy_core.ports.trail_index import AuditSearch, TrailTotals

_CURSOR = re.compile(r"(-?\d{1,18})\.(\d{1,18})")
_ROW = (
    "SELECT lines.at, types.name, lines.severity, machines.name, lines.order_id, lines.data,"
    " lines.id FROM lines JOIN names types ON types.id = lines.type"
    " LEFT JOIN names machines ON machines.id = lines.machine"
)


def empty_totals() -> TrailTotals:
    """What an index says that nobody has made yet."""
    return TrailTotals(
        run_seconds=histogram(RUN_BOUNDS, {}, 0.0),
        delivery_seconds=histogram(DELIVERY_BOUNDS, {}, 0.0),
    )


def totals(connection: sqlite3.Connection) -> TrailTotals:
    """See the port."""
    kinds: dict[str, dict[tuple[str, str], float]] = {}
    for kind, a, b, number in connection.execute("SELECT kind, a, b, number FROM counters"):
        kinds.setdefault(kind, {})[a, b] = number

    def by_state(kind: str) -> Mapping[tuple[str, OrderState], int]:
        found = kinds.get(kind, {})
        return {(machine, OrderState(word)): int(n) for (machine, word), n in found.items()}

    def hits(kind: str) -> dict[int, int]:
        return {int(number): int(n) for (number, _), n in kinds.get(kind, {}).items()}

    def total(kind: str) -> float:
        return kinds.get(kind, {}).get(("", ""), 0.0)

    return TrailTotals(
        ended=by_state(_schema.ENDED),
        earlier=by_state(_schema.EARLIER),
        events={name: int(n) for (name, _), n in kinds.get(_schema.EVENT, {}).items()},
        run_seconds=histogram(RUN_BOUNDS, hits(_schema.RUN), total(_schema.RUN_TOTAL)),
        delivery_seconds=histogram(
            DELIVERY_BOUNDS, hits(_schema.DELIVERY), total(_schema.DELIVERY_TOTAL)
        ),
    )


def of_order(connection: sqlite3.Connection, order_id: str) -> Sequence[AuditEvent]:
    """See the port."""
    rows = connection.execute(
        f"{_ROW} WHERE lines.order_id = ? ORDER BY lines.at, lines.id", (plain(order_id),)
    )
    return [event_of(row[:6]) for row in rows]


def ended(
    connection: sqlite3.Connection,
    *,
    machines: frozenset[str] | None,
    states: frozenset[OrderState] | None,
    limit: int,
    skip: int,
) -> Sequence[OrderId]:
    """See the port."""
    conditions, values = ["ended_at IS NOT NULL"], list[object]()
    if machines is not None:
        names = f"SELECT id FROM names WHERE name IN ({_marks(machines)})"  # noqa: S608 - bound
        conditions.append(f"machine IN ({names})")
        values += sorted(machines)
    if states is not None:
        conditions.append(f"outcome IN ({_marks(states)})")
        values += sorted(states)
        if OrderState.SUCCEEDED not in states:  # most orders: an index leaves them out
            conditions.append("outcome != 'succeeded'")
    rows = connection.execute(
        f"SELECT order_id FROM orders WHERE {' AND '.join(conditions)}"  # noqa: S608 - our words
        " ORDER BY ended_at DESC, order_id DESC LIMIT ? OFFSET ?",
        (*values, limit, skip),
    )
    return [OrderId(order_id) for (order_id,) in rows]


def search(
    connection: sqlite3.Connection, wanted: AuditSearch, *, cursor: str | None, limit: int
) -> AuditPage:
    """See the port."""
    conditions, values = ["1"], list[object]()
    place = _CURSOR.fullmatch(cursor or "")
    if place is not None:
        conditions.append("(lines.at, lines.id) < (?, ?)")
        values += [int(place[1]), int(place[2])]
    if wanted.event_type is not None:
        conditions.append("lines.type = (SELECT id FROM names WHERE name = ?)")
        values.append(plain(wanted.event_type))
    if wanted.severity is not None:
        number = _schema.SEVERITIES.index(wanted.severity)
        # The literal lets SQLite use the index that leaves ordinary lines out.
        conditions.append("lines.severity = ?" + (" AND lines.severity > 0" if number else ""))
        values.append(number)
    if wanted.machine is not None:
        conditions.append("lines.machine = (SELECT id FROM names WHERE name = ?)")
        values.append(plain(wanted.machine))
    if wanted.since is not None:
        conditions.append("lines.at >= ?")
        values.append(micros(wanted.since))
    if wanted.text:
        columns = ("lines.data", "lines.order_id", "types.name", "machines.name")
        conditions.append(f"({' OR '.join(f'{c} LIKE ? ESCAPE ?' for c in columns)})")
        values += [_like(wanted.text), "\\"] * len(columns)
    rows: list[tuple[object, ...]] = connection.execute(
        f"{_ROW} WHERE {' AND '.join(conditions)} ORDER BY lines.at DESC, lines.id DESC LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    page = rows[:limit]
    events = tuple(event_of(_row(row)) for row in page)
    return AuditPage(
        events=tuple((event.machine or "", event) for event in events),
        cursor=f"{page[-1][0]}.{page[-1][6]}" if page and len(rows) > limit else None,
    )


def slots(
    connection: sqlite3.Connection, since: datetime, width: timedelta, number: int
) -> Sequence[Slot]:
    """See the port."""
    begin, step = micros(since), width // timedelta(microseconds=1)
    span = (begin, step, begin, begin + step * number)
    counts: dict[int, dict[Outcome, int]] = {}
    tokens, costs = [0] * number, [0.0] * number
    for place, outcome, n, its_tokens, cost in connection.execute(
        "SELECT (ended_at - ?) / ? AS place, outcome, COUNT(*), SUM(tokens), SUM(cost_usd)"
        " FROM orders WHERE ended_at >= ? AND ended_at < ? GROUP BY place, outcome",
        span,
    ):
        counts.setdefault(place, {})[Outcome(outcome)] = n
        tokens[place] += its_tokens
        costs[place] += cost
    medians: dict[int, float] = {}
    tails: dict[int, float] = {}
    for place, run_seconds, turn, n in connection.execute(
        "SELECT place, run_seconds, turn, n FROM ("
        " SELECT (ended_at - ?) / ? AS place, run_seconds,"
        " ROW_NUMBER() OVER its AS turn,"
        " COUNT(*) OVER (PARTITION BY (ended_at - ?1) / ?2) AS n"
        " FROM orders WHERE ended_at >= ?3 AND ended_at < ?4 AND run_seconds IS NOT NULL"
        " WINDOW its AS (PARTITION BY (ended_at - ?1) / ?2 ORDER BY run_seconds))"
        " WHERE turn IN ((n + 1) / 2, (n * 95 + 99) / 100)",  # as `rank`
        span,
    ):
        if turn == rank(n, 50):
            medians[place] = run_seconds
        if turn == rank(n, 95):
            tails[place] = run_seconds
    return [
        Slot(
            begins=since + width * place,
            ended=counts.get(place, {}),
            run_seconds_p50=medians.get(place),
            run_seconds_p95=tails.get(place),
            tokens=tokens[place],
            cost_usd=costs[place],
        )
        for place in range(number)
    ]


def _row(row: tuple[object, ...]) -> Row:
    at, event_type, severity, machine, order_id, data = row[:6]
    return (  # SQLite's columns have no types of their own; these were written by us
        int(str(at)),
        str(event_type),
        int(str(severity)),
        None if machine is None else str(machine),
        None if order_id is None else str(order_id),
        str(data),
    )


def _marks(values: frozenset[str] | frozenset[OrderState]) -> str:
    return ", ".join("?" * len(values))


def _like(text: str) -> str:
    """A pattern for lines that hold the text, whose own wild cards mean themselves."""
    return "%" + re.sub(r"([%_\\])", r"\\\1", plain(text)) + "%"
