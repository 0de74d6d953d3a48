"""Group commit: who writes, who waits, and what cancellation and failure mean for the others."""

import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.audit_jsonl import JsonlAuditSink, _log, read_newest
from galaxy_core.domain.audit import AuditQuery
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.clock import settle
from tests.unit.galaxy_adapters.audit_jsonl.helpers import event, verify

pytestmark = pytest.mark.anyio


class Disk:
    """Counts syncs of data, and holds them up or fails them on demand."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.error: OSError | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._real = _log._sync_data
        patch.setattr(_log, "_sync_data", self._sync)

    def _sync(self, fd: int) -> None:
        assert self.may_go_on.wait(10)
        self.syncs += 1
        if self.error is not None:
            raise self.error
        self._real(fd)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """The disk under the trail."""
    return Disk(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the trail lies; the folder is not there yet."""
    return tmp_path / "logs" / "galaxy-audit.jsonl"


@pytest.fixture
async def sink(path: Path) -> AsyncIterator[JsonlAuditSink]:
    """A sink on an empty trail."""
    sink = JsonlAuditSink(path)
    yield sink
    await sink.close()


def ids(path: Path) -> set[str | None]:
    """The orders on record."""
    return {record.event.order_id for record in read_newest(path, AuditQuery(limit=None))}


async def test_a_call_alone_is_one_sync(sink: JsonlAuditSink, disk: Disk) -> None:
    """However many events it brings."""
    await sink.record([event(number) for number in range(10)])
    assert disk.syncs == 1


async def test_calls_at_once_share_a_sync(sink: JsonlAuditSink, disk: Disk, path: Path) -> None:
    """Thirty-two together are two syncs: the first's own, and one for all who came meanwhile."""
    async with anyio.create_task_group() as group:
        for number in range(32):
            group.start_soon(sink.record, [event(number)], name="record")
    assert disk.syncs == 2
    report = verify(path)
    assert (report.is_intact, report.lines) == (True, 32)


async def test_failure_reaches_every_caller_and_the_next_call_works(
    sink: JsonlAuditSink, disk: Disk, path: Path
) -> None:
    """Nobody believes an event on record that is not, and the trail mends itself."""
    disk.error = OSError(errno.EIO, "broken")
    failures: list[StorageUnavailable] = []

    async def record(number: int) -> None:
        try:
            await sink.record([event(number)])
        except StorageUnavailable as error:
            failures.append(error)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(record, number, name="record")
    assert len(failures) == len({id(failure) for failure in failures}) == 8
    assert {failure.errno for failure in failures} == {errno.EIO}
    disk.error = None
    await sink.record([event(99)])
    assert ids(path) == {"99"}
    assert verify(path).is_intact


async def test_cancelled_caller_does_not_take_others_along(
    sink: JsonlAuditSink, disk: Disk, path: Path
) -> None:
    """Who writes for the others finishes; who only waits is left out; the rest are written."""
    disk.may_go_on.clear()
    async with anyio.create_task_group() as group:
        scopes = [anyio.CancelScope() for _ in range(4)]

        async def record(number: int) -> None:
            with scopes[number]:
                await sink.record([event(number)])

        for number in range(4):
            group.start_soon(record, number, name="record")
            await settle()
        scopes[0].cancel()  # it is writing
        scopes[1].cancel()  # it waits, first in line
        await settle()
        disk.may_go_on.set()
    assert ids(path) == {"0", "2", "3"}
    await sink.record([event(5)])
    assert "5" in ids(path)


async def test_turn_goes_on_when_its_owner_is_cancelled(
    sink: JsonlAuditSink, disk: Disk, path: Path
) -> None:
    """The one whose turn it is may be cancelled in the same moment: the next one writes."""
    disk.may_go_on.clear()
    scope = anyio.CancelScope()

    async def cancelled() -> None:
        with scope:
            await sink.record([event(1)])

    async def first() -> None:
        await sink.record([event(0)])
        scope.cancel()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(first, name="first")
            await settle()
            group.start_soon(cancelled, name="cancelled")
            await settle()
            group.start_soon(sink.record, [event(2)], name="last")
            await settle()
            disk.may_go_on.set()
    assert {"0", "2"} <= ids(path)


async def test_failure_of_the_folder_names_it(path: Path) -> None:
    """A file where the folder should be is a sentence for people."""
    path.parent.write_text("in the way")
    with pytest.raises(StorageUnavailable, match="a file stands where a folder should be"):
        await JsonlAuditSink(path).record([event(1)])


async def test_part_is_put_aside_when_it_is_full(path: Path) -> None:
    """Full parts are kept under a name that sorts, and the growing one stays small."""
    sink = JsonlAuditSink(path, rotate_bytes=2_000)
    for number in range(30):
        await sink.record([event(number)])
    await sink.close()
    parts = sorted(entry.name for entry in os.scandir(path.parent))
    assert parts[0].startswith("galaxy-audit-20260202T1200")
    assert parts[0].endswith("Z-000000000007.jsonl")
    assert path.stat().st_size < 2_400
    assert len(ids(path)) == 30
    assert verify(path).is_intact
