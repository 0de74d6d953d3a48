"""A watcher's book: what it has said about what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from galaxy_core.domain.health import AlertState
from galaxy_core.domain.letter import Severity
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.fields import FieldReader
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.overlay import Table, all_members, time_writer

__all__ = ["decode_alerts", "encode_alerts"]


def encode_alerts(states: Sequence[AlertState]) -> bytes:
    """Write the book."""
    return write_object({"type": "alerts", "alerts": [all_members(_MEMBERS, s) for s in states]})


def decode_alerts(data: bytes) -> Sequence[AlertState]:
    """Read the book; entries that make no sense are left out.

    Raises `UnreadableFile` when it is not one JSON object.
    """
    wire = read_object(data, name="The book of alerts")
    read = FieldReader(wire)
    states = (_entry(item) for item in read.items("alerts") if isinstance(item, Mapping))
    return tuple(state for state in states if state is not None)


def _entry(item: Mapping[str, JSONValue]) -> AlertState | None:
    read = FieldReader(item)
    key, since, severity = read.word("key"), read.time("since"), read.word("severity")
    times = item.get("times")
    if key is None or since is None or severity not in set(Severity):
        return None
    return AlertState(
        key=key,
        since=since,
        severity=Severity(severity),
        text=_text(item.get("text")),
        remedy=_text(item.get("remedy")),
        times=times if type(times) is int and times > 0 else 1,
        is_posted=item.get("posted") is True,
        is_pushed=item.get("pushed") is True,
        ended_at=read.time("ended_at"),
        is_settled=item.get("settled") is True,
    )


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""


_MEMBERS: Table = {
    "key": ("key", lambda state: state.key),
    "since": time_writer("since"),
    "severity": ("severity", lambda state: state.severity.value),
    "text": ("text", lambda state: state.text),
    "remedy": ("remedy", lambda state: state.remedy or None),
    "times": ("times", lambda state: state.times),
    "posted": ("is_posted", lambda state: state.is_posted or None),
    "pushed": ("is_pushed", lambda state: state.is_pushed or None),
    "ended_at": time_writer("ended_at"),
    "settled": ("is_settled", lambda state: state.is_settled or None),
}
