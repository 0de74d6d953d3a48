"""The heartbeat file: the original's members, and ours after them."""

from __future__ import annotations

from datetime import datetime

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.fields import FieldReader
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.overlay import Table, all_members, time_writer

__all__ = ["decode_heartbeat", "encode_heartbeat"]


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Write a sign of life."""
    members = {"daemon": "hermes", **_ALWAYS, **all_members(_MEMBERS, heartbeat)}
    return write_object(members)


def decode_heartbeat(data: bytes) -> Heartbeat:
    """Read a sign of life, the original's too.

    Raises `UnreadableFile` when it is not one JSON object or does not say when it was written.
    """
    wire = read_object(data, name="The heartbeat")
    read = FieldReader(wire)
    last: datetime | None = read.time("last_heartbeat_at", "stopped_at", "started_at")
    if last is None:
        raise UnreadableFile("The heartbeat does not say when it was written.")
    return Heartbeat(
        status=read.word("status") or "unknown",
        machine=read.word("machine") or "",
        started_at=read.time("started_at") or last,
        last_heartbeat_at=last,
        orders_processed=_count(wire.get("orders_processed")),
        failure_count=_count(wire.get("failure_count")),
        running=tuple(item for item in read.items("running") if type(item) is str),
        session_id=read.word("session_id"),
        last_poll_at=read.time("last_poll_at"),
        stopped_at=read.time("stopped_at"),
        pid=wire_pid if type(wire_pid := wire.get("pid")) is int else None,
        version=read.word("version"),
        dispatcher=read.word("dispatcher"),
    )


def _count(value: JSONValue) -> int:
    return value if type(value) is int else 0


# The original always wrote these, so its readers need not ask whether they are there.
_ALWAYS: dict[str, JSONValue] = {"session_id": None, "last_poll_at": None}

_MEMBERS: Table = {
    "status": ("status", lambda heartbeat: heartbeat.status),
    "machine": ("machine", lambda heartbeat: heartbeat.machine),
    "started_at": time_writer("started_at"),
    "last_heartbeat_at": time_writer("last_heartbeat_at"),
    "last_poll_at": time_writer("last_poll_at"),
    "orders_processed": ("orders_processed", lambda heartbeat: heartbeat.orders_processed),
    "failure_count": ("failure_count", lambda heartbeat: heartbeat.failure_count),
    "session_id": ("session_id", lambda heartbeat: heartbeat.session_id),
    "stopped_at": time_writer("stopped_at"),
    "running": ("running", lambda heartbeat: list(heartbeat.running)),
    "pid": ("pid", lambda heartbeat: heartbeat.pid),
    "version": ("version", lambda heartbeat: heartbeat.version),
    "dispatcher": ("dispatcher", lambda heartbeat: heartbeat.dispatcher),
}
