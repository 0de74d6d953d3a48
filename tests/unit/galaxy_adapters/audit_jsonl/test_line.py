"""The form of a line."""

import json
import math
from pathlib import Path
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from galaxy_adapters.audit_jsonl._line import (
    GENESIS,
    MAX_BODY_BYTES,
    chain,
    encode_body,
    read_link,
    read_record,
)
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.order import JSONObject
from tests.unit.galaxy_adapters.audit_jsonl.helpers import (
    ORIGINAL,
    START,
    check_like_an_outsider,
    event,
    write,
)

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_line_has_the_protocols_members_in_order() -> None:
    """`{timestamp, event_type, severity, ...}` comes first, the chain last."""
    lines, _ = chain([encode_body(event(7))], GENESIS)
    assert list(json.loads(lines)) == [
        *("timestamp", "event_type", "severity", "order_id", "machine", "attempt"),
        *("seq", "prev", "hash"),
    ]


def test_an_outsider_can_check_the_chain_without_json(tmp_path: Path) -> None:
    """The documented recipe finds a whole chain whole, and a changed line where it stands."""
    path = tmp_path / "galaxy-audit.jsonl"
    write(path, 5)
    data = path.read_bytes()
    assert check_like_an_outsider(data) == []
    assert check_like_an_outsider(data.replace(b'"order_id":"3"', b'"order_id":"9"')) == ["line 3"]


@given(st.dictionaries(st.text(), _json, max_size=5))
def test_every_event_makes_one_line_that_reads_back(data: dict[str, object]) -> None:
    """No value can break the line, the chain or the event's own members; data survives."""
    written = AuditEvent(
        timestamp=START, event_type="x", order_id="o", data=cast("JSONObject", data)
    )
    lines, head = chain([encode_body(written)], GENESIS)
    assert lines.count(b"\n") == 1
    link = read_link(lines[:-1])
    assert link is not None
    assert link.is_true
    assert link.continues(GENESIS)
    record = read_record(lines)
    assert record is not None
    assert (record.sequence, record.digest) == (1, head.digest)
    assert (record.event.timestamp, record.event.event_type) == (START, "x")
    own = {"timestamp", "event_type", "severity", "order_id", "machine", "seq", "prev", "hash"}
    for key, value in data.items():
        if key not in own and key + "_" not in data and _is_plain(value):
            assert record.event.data[key] == value


def _is_plain(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    return all(map(_is_plain, value)) if isinstance(value, list) else True


def test_data_cannot_replace_the_trails_own_members() -> None:
    """A key that the trail uses itself gets an underscore, so nobody forges a severity or hash."""
    forged = AuditEvent(timestamp=START, event_type="x", data={"severity": "info", "hash": "0"})
    members = json.loads(encode_body(forged))
    assert (members["severity_"], members["hash_"]) == ("info", "0")


def test_runaway_data_is_left_out_and_its_size_told() -> None:
    """One enormous value must not make the trail unreadable; the event itself stays."""
    big = AuditEvent(timestamp=START, event_type="x", data={"text": "x" * MAX_BODY_BYTES})
    body = encode_body(big)
    assert len(body) < 200
    assert json.loads(body)["data_left_out_bytes"] > MAX_BODY_BYTES


def test_lines_of_the_original_system_are_read() -> None:
    """No chain, severities in capitals and naive times: read as UTC and as our severities."""
    record = read_record(ORIGINAL)
    assert record is not None
    assert (record.sequence, record.digest) == (None, None)
    assert record.event.severity is AuditSeverity.INFO
    assert record.event.timestamp.isoformat() == "2026-02-01T10:00:00.123456+00:00"
    assert record.event.data == {"exit_code": 0}


def test_what_is_no_line_of_a_trail_is_no_record() -> None:
    """Torn text, other JSON and an object without a type are passed over, not guessed at."""
    for line in (b'{"timestamp": "20', b"[1]", b"", b"\xff\xfe", b'{"event_type": 5}', b"[" * 9999):
        assert read_record(line) is None
