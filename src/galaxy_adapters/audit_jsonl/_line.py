"""One line of the trail: how it is made, how its place in the chain is read from its bytes.

    {"timestamp": ..., "event_type": ..., "severity": ..., ...,"seq":7,"prev":"<64>","hash":"<64>"}

`hash` is SHA-256 over the bytes of the line from its first `{` up to, not including, `,"hash":`.
`seq`, `prev` and `hash` are always the last three members, written without spaces, so the check
needs no JSON at all: cut 75 bytes off the end and hash what is left.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256

from attrs import frozen

from galaxy_core.domain.audit import AuditEvent, AuditRecord, AuditSeverity
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.times import read_time

MAX_BODY_BYTES = 1 << 20
"""A longer event keeps everything but its data: one runaway value must not make the trail
unreadable for tools that read it line by line."""

_HASH_TAIL = len(',"hash":""}') + 64
_LINK = re.compile(rb',"seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}\Z')
_LONGEST_LINK = 174
_OWN_KEYS = frozenset({"timestamp", "event_type", "severity", "order_id", "machine"})
_CHAIN_KEYS = frozenset({"seq", "prev", "hash"})
_RESERVED = _OWN_KEYS | _CHAIN_KEYS
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Words of the original system and of neighbours that people pipe into the file.
_SEVERITIES = {
    "debug": AuditSeverity.INFO,
    "success": AuditSeverity.INFO,
    "warn": AuditSeverity.WARNING,
    "high": AuditSeverity.WARNING,
    "failure": AuditSeverity.ERROR,
    "alert": AuditSeverity.CRITICAL,
    "fatal": AuditSeverity.CRITICAL,
    **{severity.value: severity for severity in AuditSeverity},
}


@frozen
class Head:
    """Where a chain stands: number and digest of its newest line."""

    sequence: int
    digest: str


GENESIS = Head(0, "0" * 64)
"""What the first line of a chain continues."""


@frozen
class Link:
    """The chain members of a line, and whether the line's digest fits its bytes."""

    sequence: int
    previous: str
    digest: str
    true_digest: str

    @property
    def is_true(self) -> bool:
        return self.digest == self.true_digest

    def continues(self, head: Head) -> bool:
        """Whether this is the line after `head`."""
        return self.sequence == head.sequence + 1 and self.previous == head.digest


def encode_body(event: AuditEvent) -> bytes:
    """The event as a JSON object without its chain members; never fails because of a value.

    Keys of `data` that the trail itself uses get an underscore at the end.
    """
    members: dict[str, object] = {
        "timestamp": event.timestamp.astimezone(UTC).isoformat(),
        "event_type": event.event_type,
        "severity": event.severity.value,
    }
    if event.order_id is not None:
        members["order_id"] = event.order_id
    if event.machine is not None:
        members["machine"] = event.machine
    data = {f"{key}_" if key in _RESERVED else key: value for key, value in event.data.items()}
    body = _to_json({**members, **data})
    if len(body) > MAX_BODY_BYTES:
        body = _to_json({**members, "data_left_out_bytes": len(body)})
    return body


def chain(bodies: list[bytes], head: Head) -> tuple[bytes, Head]:
    """Lines for `bodies`, ready to be appended after `head`, and the head after them."""
    sequence, digest = head.sequence, head.digest
    lines = []
    for body in bodies:
        sequence += 1
        text = b'%b,"seq":%d,"prev":"%b"' % (body[:-1], sequence, digest.encode())
        digest = sha256(text).hexdigest()
        lines.append(b'%b,"hash":"%b"}\n' % (text, digest.encode()))
    return b"".join(lines), Head(sequence, digest)


def has_link(line: bytes) -> bool:
    """Whether a line (without its line break) has chain members; their digests are not checked."""
    return _LINK.search(line, max(0, len(line) - _LONGEST_LINK)) is not None


def read_link(line: bytes) -> Link | None:
    """The chain members of a line (without its line break); None when it has none."""
    match = _LINK.search(line, max(0, len(line) - _LONGEST_LINK))
    if match is None:
        return None
    sequence, previous, digest = match.groups()
    true_digest = sha256(line[:-_HASH_TAIL]).hexdigest()
    return Link(int(sequence), previous.decode(), digest.decode(), true_digest)


def read_members(line: bytes) -> dict[str, JSONValue] | None:
    """The JSON object in a line; None when it is not one."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_record(line: bytes) -> AuditRecord | None:
    """A line of the trail, ours or the original system's; None when it is not one."""
    members = read_members(line)
    if members is None or not isinstance(members.get("event_type"), str):
        return None
    sequence, digest = members.get("seq"), members.get("hash")
    is_chained = isinstance(sequence, int) and isinstance(digest, str) and "prev" in members
    left_out = _RESERVED if is_chained else _OWN_KEYS
    event = AuditEvent(
        timestamp=_timestamp(members.get("timestamp")),
        event_type=str(members["event_type"]),
        severity=_severity(members.get("severity")),
        order_id=_word(members.get("order_id")),
        machine=_word(members.get("machine")),
        data={key: value for key, value in members.items() if key not in left_out},
    )
    if not is_chained:
        return AuditRecord(event=event, sequence=None, digest=None)
    return AuditRecord(event=event, sequence=int(str(sequence)), digest=str(digest))


def _to_json(members: dict[str, object]) -> bytes:
    try:
        return _encode(members)
    except (ValueError, RecursionError):  # NaN, an infinity, a value inside itself
        return _encode({key: _plain(value, depth=0) for key, value in members.items()})


def _encode(members: dict[str, object]) -> bytes:
    try:
        return _UTF8.encode(members).encode()
    except UnicodeEncodeError:  # a lone surrogate: JSON can carry it in ASCII, UTF-8 cannot
        return _ASCII.encode(members).encode()


def _default(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


_UTF8 = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default
)
_ASCII = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_default)


def _plain(value: object, *, depth: int) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping | list | tuple) and depth > 20:  # noqa: PLR2004 - deep enough
        return "..."
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth=depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, depth=depth + 1) for item in value]
    return value


def _timestamp(value: JSONValue) -> datetime:
    try:
        return read_time(value) or _EPOCH
    except ValueError:
        return _EPOCH


def _severity(value: JSONValue) -> AuditSeverity:
    return _SEVERITIES.get(str(value).strip().lower(), AuditSeverity.INFO)


def _word(value: JSONValue) -> str | None:
    return None if value is None else str(value)
