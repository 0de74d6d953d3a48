"""Reading from the end, and following."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from galaxy_adapters.audit_jsonl import JsonlAuditSink, JsonlAuditTrail, read_newest, reading
from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_core.domain.audit import AuditQuery, AuditSeverity
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.clock import settle
from tests.unit.galaxy_adapters.audit_jsonl.helpers import ORIGINAL, START, event, open_log, write

pytestmark = pytest.mark.anyio
ALL = AuditQuery(limit=None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the trail lies."""
    return tmp_path / "galaxy-audit.jsonl"


def ids(path: Path, query: AuditQuery) -> list[str | None]:
    """The orders of what the query finds."""
    return [record.event.order_id for record in read_newest(path, query)]


@given(st.lists(st.integers(0, 9).map(lambda n: "x" * n**3), max_size=12), st.integers(1, 70))
def test_lines_backwards_are_the_lines(texts: list[str], block: int) -> None:
    """Wherever blocks begin and end, every line comes once, whole, the last one first."""
    data = "\n".join(texts).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "_BLOCK", block)
        patch.setattr(os, "pread", lambda _fd, size, start: data[start : start + size])
        found = list(reading.lines_backwards(-1, len(data)))
    assert [line.decode() for line in reversed(found)] == (texts if data else [])


def test_reading_crosses_parts_and_stops_early(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest lines come from as many parts as are needed, and no others are opened for them."""
    write(path, 40, rotate_bytes=2_000)
    parts = len(list(path.parent.glob("*.jsonl")))
    assert parts >= 5
    assert ids(path, AuditQuery(limit=12)) == [str(number) for number in range(29, 41)]
    assert ids(path, ALL) == [str(number) for number in range(1, 41)]
    reads: list[int] = []
    real = reading.lines_backwards

    def counted(fd: int, end: int) -> Iterator[bytes]:
        reads.append(fd)
        return real(fd, end)

    monkeypatch.setattr(reading, "lines_backwards", counted)
    ids(path, AuditQuery(limit=2))
    assert len(reads) <= 2


def test_time_restriction_survives_a_clock_that_jumped(path: Path) -> None:
    """A line with a wrong date does not hide those before it; long ago ends the search."""
    log = open_log(path)
    times = [*([-60] * 2_000), 10, 11, -9_999, 12]
    bodies = [
        encode_body(evolve(event(number), timestamp=START + timedelta(minutes=minutes)))
        for number, minutes in enumerate(times)
    ]
    log.append(bodies, START)
    log.close()
    assert ids(path, AuditQuery(since=START)) == ["2000", "2001", "2003"]


def test_severities_of_the_original_are_found(path: Path) -> None:
    """A restriction finds old lines too, however they spell it."""
    path.write_bytes(ORIGINAL + ORIGINAL.replace(b'"INFO"', b'"Error"').replace(b"old-1", b"old-2"))
    log = open_log(path)
    log.append([encode_body(event(1, severity=AuditSeverity.ERROR))], START)
    log.close()
    assert ids(path, AuditQuery(severity=AuditSeverity.ERROR)) == ["old-2", "1"]


def test_torn_lines_and_rubbish_are_passed_over(path: Path) -> None:
    """What is no record never stops the reading of the others."""
    write(path, 2)
    with path.open("ab") as file:
        file.write(b"\0" * 100 + b'\n{"timestamp": "20')
    assert ids(path, ALL) == ["1", "2"]


def test_reader_starts_without_an_event_loop() -> None:
    """A command that shows the trail must not pay for what it does not use."""
    script = (
        "import sys; from galaxy_adapters.audit_jsonl import read_newest, verify_chain;"
        "print([name for name in ('asyncio', 'anyio', 'cattrs') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


class Follower:
    """Collects what a trail's `follow` gives."""

    def __init__(self, path: Path, query: AuditQuery) -> None:
        self.seen: list[str | None] = []
        self._news = anyio.Event()
        self._trail = JsonlAuditTrail(path)
        self._query = query

    async def run(self) -> None:
        """Follow until cancelled."""
        async for record in self._trail.follow(self._query):
            self.seen.append(record.event.order_id)
            news, self._news = self._news, anyio.Event()
            news.set()

    async def until(self, count: int) -> None:
        """Wait for so many records in all."""
        with anyio.fail_after(10):
            while len(self.seen) < count:
                await self._news.wait()


@pytest.fixture
async def sink(path: Path) -> AsyncIterator[JsonlAuditSink]:
    """A writer that turns to a new part every few lines."""
    sink = JsonlAuditSink(path, rotate_bytes=1_500)
    yield sink
    await sink.close()


async def test_follower_crosses_rotations(path: Path, sink: JsonlAuditSink) -> None:
    """Every line comes once and in order, however often the file changes under the follower."""
    for number in range(1, 4):
        await sink.record([event(number)])
    follower = Follower(path, AuditQuery(limit=2))
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run, name="follow")
        await follower.until(2)
        for number in range(4, 44):
            await sink.record([event(number)])
        await follower.until(42)
        group.cancel_scope.cancel()
    assert follower.seen == [str(number) for number in range(2, 44)]
    assert len(list(path.parent.glob("galaxy-audit-*.jsonl"))) >= 6


async def test_follower_may_come_before_the_trail(tmp_path: Path) -> None:
    """Watching may begin when nothing was ever written, not even the folder."""
    path = tmp_path / "logs" / "galaxy-audit.jsonl"
    follower = Follower(path, ALL)
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run, name="follow")
        await settle()
        sink = JsonlAuditSink(path)
        await sink.record([event(1)])
        await follower.until(1)
        await sink.close()
        group.cancel_scope.cancel()
    assert follower.seen == ["1"]


async def test_follower_waits_for_the_end_of_a_line(path: Path) -> None:
    """A line that is written in two steps comes once it is whole."""
    write(path, 1)
    follower = Follower(path, AuditQuery(event_type="order_executed_success"))
    async with anyio.create_task_group() as group:
        group.start_soon(follower.run, name="follow")
        await settle()
        for piece in (ORIGINAL[:50], ORIGINAL[50:-1], b"\n"):
            assert follower.seen == []
            with path.open("ab") as file:
                file.write(piece)
            await settle()
        await follower.until(1)
        group.cancel_scope.cancel()
    assert follower.seen == ["old-1"]


async def test_unreadable_trail_is_an_error_with_advice(path: Path) -> None:
    """A folder in the file's place is a sentence, not a stack of Python."""
    path.mkdir()
    with pytest.raises(StorageUnavailable, match="read the audit trail"):
        await JsonlAuditTrail(path).read(ALL)
