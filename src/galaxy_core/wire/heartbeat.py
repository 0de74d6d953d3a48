"""The heartbeat file: the original's members, and ours after them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.operations import ChannelSign, Heartbeat
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.fields import FieldReader
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.overlay import Table, all_members, time_writer

__all__ = ["decode_heartbeat", "encode_heartbeat"]

HERMES = "hermes"
"""The original's files, and those of a Hermes, are of this daemon."""


def encode_heartbeat(heartbeat: Heartbeat) -> bytes:
    """Write a sign of life."""
    always = _ALWAYS if heartbeat.daemon == HERMES else {}
    members = {"daemon": heartbeat.daemon, **always, **all_members(_MEMBERS, heartbeat)}
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
        daemon=read.word("daemon") or HERMES,
        channels=_channels(wire.get("channels")),
        trouble=read.word("trouble"),
        agent_answers=answers if type(answers := wire.get("agent_answers")) is bool else None,
    )


def _channels(value: JSONValue) -> tuple[ChannelSign, ...]:
    """The signs by channel; what is none is left out."""
    signs = []
    for name, members in value.items() if isinstance(value, Mapping) else ():
        if isinstance(members, Mapping):
            read = FieldReader(members)
            sign = ChannelSign(
                name=name, heard_at=read.time("heard_at"), trouble=read.word("trouble")
            )
            signs.append(sign)
    return tuple(signs)


def _sign_members(heartbeat: Heartbeat) -> JSONValue:
    if not heartbeat.channels:
        return None
    return {sign.name: all_members(_SIGN_MEMBERS, sign) for sign in heartbeat.channels}


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
    "channels": ("channels", _sign_members),
    "trouble": ("trouble", lambda heartbeat: heartbeat.trouble),
    "agent_answers": ("agent_answers", lambda heartbeat: heartbeat.agent_answers),
}
_SIGN_MEMBERS: Table = {
    "heard_at": time_writer("heard_at"),
    "trouble": ("trouble", lambda sign: sign.trouble),
}
