"""Small trails for the tests, and the check that the documentation gives to outsiders."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from galaxy_adapters.audit_jsonl import verify_chain
from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_adapters.audit_jsonl._log import ChainedLog
from galaxy_core.domain.audit import AuditEvent, AuditSeverity, ChainReport

START = datetime(2026, 2, 2, 12, tzinfo=UTC)
ORIGINAL = (
    b'{"timestamp": "2026-02-01T10:00:00.123456", "event_type": "order_executed_success",'
    b' "severity": "INFO", "order_id": "old-1", "exit_code": 0}\n'
)


def event(number: int, **fields: object) -> AuditEvent:
    """An event whose order's id is its number."""
    severity = fields.pop("severity", AuditSeverity.INFO)
    assert isinstance(severity, AuditSeverity)
    return AuditEvent(
        timestamp=START + timedelta(seconds=number),
        event_type=str(fields.pop("event_type", "order_claimed")),
        severity=severity,
        order_id=str(number),
        machine="lab",
        data={"attempt": 1},
    )


def open_log(path: Path, *, rotate_bytes: int | None = None) -> ChainedLog:
    """The blocking writer, as a process that has just started."""
    return ChainedLog(path, rotate_bytes=rotate_bytes, lock_timeout=timedelta(seconds=5))


def write(path: Path, count: int, *, first: int = 1, rotate_bytes: int | None = None) -> None:
    """Append events numbered from `first`, one write each, by a writer of their own."""
    log = open_log(path, rotate_bytes=rotate_bytes)
    for number in range(first, first + count):
        log.append([encode_body(event(number))], START)
    log.close()


def head_file(path: Path) -> Path:
    """Lock and note of the writers."""
    return path.with_name(path.name + ".head")


def check_like_an_outsider(data: bytes) -> list[str]:
    """The recipe of the documentation, in ten lines that share nothing with the product."""
    faults, previous, expected = [], "0" * 64, 1
    for number, line in enumerate(data.splitlines(), start=1):
        text, _, tail = line.rpartition(b',"hash":"')
        digest = tail.removesuffix(b'"}').decode()
        chained = b',"seq":%d,"prev":"%b"' % (expected, previous.encode())
        if hashlib.sha256(text).hexdigest() != digest or not text.endswith(chained):
            faults.append(f"line {number}")
        previous, expected = digest, expected + 1
    return faults


def verify(path: Path, *anchors: str) -> ChainReport:
    """Check the trail."""
    return verify_chain(path, anchors=anchors)
