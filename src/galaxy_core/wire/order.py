"""Orders on disk: `decode_order`, `encode_order`, and the archive's form with how it ended.

An order keeps the object that it was read from.  It is written back as that object, member by
member as its writer wrote it, with only those changed that differ by now: what nobody here knows
is never lost.
"""

from __future__ import annotations

from datetime import UTC, datetime

from galaxy_core.domain.order import DEFAULT_COMMAND, JSONObject, JSONValue, Order
from galaxy_core.domain.response import Ending
from galaxy_core.wire.ending import AS_WRITTEN, ENDING_KEYS, ending_from, ending_members
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.markers import NO_MARKERS, read_markers
from galaxy_core.wire.order_reader import ANSWERED_BEFORE, is_answered, order_from
from galaxy_core.wire.overlay import Table, all_members, put_changes, time_writer

__all__ = ["decode_archived", "decode_order", "encode_archived", "encode_order"]

_UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def decode_order(data: bytes, *, name: str, received_at: datetime) -> Order:
    """Read a waiting order.

    `name` is the file's name without `.json` (and `.processing`): the id of an order that gives
    none.  `received_at` is when the file arrived.  Raises `UnreadableFile` for what is not one
    JSON object; anything else that is wrong is in `Order.refusals`.
    """
    return order_from(read_object(data, name="The file"), name=name, received_at=received_at)


def encode_order(order: Order) -> bytes:
    """Write a waiting order: the object it was read from, with what is different by now.

    An order from the archive loses the marks of its end, so that it may run again.
    """
    return write_object(_waiting_members(order))


def encode_archived(order: Order, ending: Ending, *, source: JSONObject | None = None) -> bytes:
    """Write an order that ended: all that was in its file, and how it ended.

    `source` is the object to keep, when it is not the one that the order was read from.  The
    archive's file is named after the order's id, whatever `order_id` in it says.
    """
    base = order.wire if source is None else source
    members = dict(base) if base else _waiting_members(order)
    # Members of the same names that are not the mark of an earlier end are somebody's own.
    is_own = not _is_from_archive(order, members)
    own = {key: members.pop(key) for key in ENDING_KEYS if key in members}
    if is_own and own.keys() - {"acknowledged"}:
        members[AS_WRITTEN] = own
    elif AS_WRITTEN in own:
        members[AS_WRITTEN] = own[AS_WRITTEN]
    members.update(ending_members(ending))
    return write_object(members)


def decode_archived(data: bytes, *, name: str) -> tuple[Order, Ending | None]:
    """Read an order of the archive; `name` is its file's name without `.json`, and so its id.

    The ending is None when the file says nothing of one.  Raises `UnreadableFile` for what is
    not one JSON object.
    """
    wire = read_object(data, name="The file")
    ending = ending_from(wire)
    ended_at = ending.finished_at if ending else _UNKNOWN_TIME
    return order_from(wire, name=name, received_at=ended_at, is_archived=True), ending


# ---- writing


def _timeout(order: Order) -> JSONValue:
    return None if order.timeout is None else order.timeout.total_seconds()


def _media(order: Order) -> JSONValue:
    return [
        {
            key: value
            for key, value in (
                ("path", item.path),
                ("url", item.url),
                ("name", item.name),
                ("mime", item.mime),
            )
            if value is not None
        }
        for item in order.media
    ] or None


_MEMBERS: Table = {
    "order_id": ("id", lambda o: o.id),
    "from": ("sender", lambda o: o.sender or None),
    "person_id": ("person_id", lambda o: o.person_id),
    "target": ("target", lambda o: o.target),
    "command": ("command", lambda o: o.command or DEFAULT_COMMAND),
    "payload": ("payload", lambda o: o.payload),
    "timestamp": time_writer("timestamp"),
    "priority": ("priority", lambda o: o.priority.word),
    "project": ("project", lambda o: o.project),
    "media": ("media", _media),
    "channel": ("channel", lambda o: o.channel),
    "chat_id": ("chat_id", lambda o: o.chat_id),
    "topic": ("topic", lambda o: o.topic),
    "reply_to": ("reply_to", lambda o: o.reply_to),
    "session": ("session", lambda o: o.session),
    "agent": ("agent", lambda o: o.agent),
    "model": ("model", lambda o: o.model),
    "not_before": time_writer("not_before"),
    "expires_at": time_writer("expires_at"),
    "timeout_s": ("timeout", _timeout),
    "idempotency_key": ("idempotency_key", lambda o: o.idempotency_key),
    "after": ("after", lambda o: list(o.after) or None),
}
_OLDER_NAMES = {"topic": "message_thread_id", "not_before": "scheduled_for"}


def _waiting_members(order: Order) -> dict[str, JSONValue]:
    return _changed_members(order) if order.wire else _new_members(order)


def _new_members(order: Order) -> dict[str, JSONValue]:
    members = {"type": "galaxy_order", **all_members(_MEMBERS, order), "acknowledged": False}
    _mute_markers(order, members)
    return members


def _changed_members(order: Order) -> dict[str, JSONValue]:
    members = dict(order.wire)
    if _is_from_archive(order, members):
        own = members.get(AS_WRITTEN)
        for key in ENDING_KEYS:
            members.pop(key, None)
        members |= {**(own if type(own) is dict else {}), "acknowledged": False}
    read = order_from(members, name=order.id, received_at=_UNKNOWN_TIME)
    put_changes(members, _MEMBERS, read=read, value=order, older_names=_OLDER_NAMES)
    # The id was the file's name so far, or was refused before the archive named it anew.
    if members.get("order_id") in (None, "") or len(read.refusals) > len(order.refusals):
        members["order_id"] = order.id
    _mute_markers(order, members)
    return members


def _is_from_archive(order: Order, members: JSONObject) -> bool:
    """Whether the order ended, and is not one that somebody dropped with the marks of an end."""
    return is_answered(members) and ANSWERED_BEFORE not in order.refusals


def _mute_markers(order: Order, members: dict[str, JSONValue]) -> None:
    """Have the marks in the text ignored, where they would make it another order."""
    if read_markers(order.payload) is NO_MARKERS:
        return
    read = order_from(members, name=order.id, received_at=_UNKNOWN_TIME)
    if (read.priority, read.project, read.not_before, read.refusals) != (
        order.priority,
        order.project,
        order.not_before,
        order.refusals,
    ):
        members["markers"] = False
