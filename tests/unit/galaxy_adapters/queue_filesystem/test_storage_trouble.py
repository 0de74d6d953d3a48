"""Disks that are full, read-only, gone, or not fit for use: nothing is lost, and work goes on."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, QueueTimes
from galaxy_core.domain.errors import LeaseLost, StorageUnavailable, UnsupportedFilesystem
from galaxy_core.domain.order import Order
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.order import encode_order
from tests.contract.files_queue import FilesQueueHarness, files_queue

ROOM = 6
"""So many files make room for the work on one order, with its lane, its link and its archive."""


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[FilesQueueHarness]:
    """Give an empty folder on a manual clock."""
    async with files_queue(tmp_path) as harness:
        yield harness


def refusing(code: int) -> Callable[..., int]:
    """Stand in for a system call on a disk that refuses it."""

    def refuse(*_arguments: object, **_options: object) -> int:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
async def test_every_call_says_so_and_works_again_afterwards(
    harness: FilesQueueHarness, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Each call raises a passing error while the disk refuses, and then goes through."""
    queue = await harness.open()
    order = make_order(id="a")

    async def refused(call: str, use: Callable[[], object]) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(os, call, refusing(code))
            with pytest.raises(StorageUnavailable) as caught:
                await use()  # type: ignore[misc]
        assert caught.value.errno == code

    await refused("write", lambda: queue.enqueue(order))
    await queue.enqueue(order)
    await refused("mkdir", queue.claim)
    await refused("symlink", queue.claim)
    await harness.elapse(timedelta(seconds=1))
    delivery = await harness.next(queue)
    await refused("write", lambda: queue.nack(delivery))
    await queue.nack(delivery)
    delivery = await harness.next(queue)
    await refused("fsync", lambda: queue.ack(delivery, make_ending()))
    await queue.ack(delivery, make_ending())
    assert await queue.claim() is None
    assert [path.name for path in harness.layout.archive.iterdir()] == ["a.json"]


async def test_order_that_cannot_be_read_lets_others_go_first(
    harness: FilesQueueHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector under one file does not stop the queue."""
    queue = await harness.open()
    await queue.enqueue(make_order(id="bad"))
    await queue.enqueue(make_order(id="good"))
    really_open = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("bad.json"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return really_open(path, flags, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with pytest.raises(StorageUnavailable):
            await queue.claim()
        assert (await harness.next(queue)).order.id == "good"
    await harness.elapse(timedelta(seconds=20))
    assert (await harness.next(queue)).order.id == "bad"


async def test_folder_that_goes_and_comes_back(harness: FilesQueueHarness) -> None:
    """A disk that is unmounted and mounted again: told once, and the work goes on."""
    queue = await harness.open()
    await queue.enqueue(make_order(id="a"))
    away = harness.layout.repo_path / "away"
    harness.layout.notepads.rename(away)
    with suppress(StorageUnavailable):  # by then it may know that the file is gone
        assert await queue.claim() is None
    await harness.elapse(timedelta(minutes=2))
    assert harness.incidents.kinds == ["queue_unavailable"]
    assert not harness.layout.orders.exists(), "it would hide the orders once they are back"
    away.rename(harness.layout.notepads)
    await harness.elapse(timedelta(minutes=1))
    assert (await harness.next(queue)).order.id == "a"


async def test_folder_that_is_removed_and_made_anew(harness: FilesQueueHarness) -> None:
    """All is gone, by hand; orders dropped into the new folder run."""
    queue = await harness.open()
    await queue.enqueue(make_order(id="a"))
    lost = await harness.next(queue)
    shutil.rmtree(harness.layout.notepads)
    harness.layout.orders.mkdir(parents=True)
    (harness.layout.orders / "b.json").write_bytes(encode_order(make_order(id="b")))
    await harness.elapse(timedelta(minutes=1))
    assert (await harness.next(queue)).order.id == "b"
    with pytest.raises(LeaseLost):
        await queue.renew(lost)


async def test_clock_that_jumps_forgets_nothing(harness: FilesQueueHarness) -> None:
    """Set years ahead and back: what waits for a time waits for it, and leases do not care."""
    queue, other = await harness.open("a"), await harness.open("b")
    await queue.enqueue(make_order(id="held"))
    held = await harness.next(queue)
    later = harness.now() + timedelta(hours=1)
    await queue.enqueue(make_order(id="later", not_before=later))
    for years in (10, -20, 15):
        harness.clock.jump(timedelta(days=365 * years))
        await queue.enqueue(make_order(id=f"after {years}"))
        await harness.elapse_alive(timedelta(seconds=20), queue, held)
    assert not [i for i in harness.incidents.incidents if i.kind == "order_taken_over"]
    got = {(await harness.next(other)).order.id for _ in range(4)}
    assert got == {"later", "after 10", "after -20", "after 15"}
    await queue.renew(held)


def test_folders_on_two_disks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rename between two file systems is no rename: said at once, not at the first order."""
    elsewhere = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
    if not elsewhere.is_dir() or elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    other = elsewhere / f"galaxy-test-{os.getpid()}"
    other.mkdir()
    try:
        layout = Layout(tmp_path)
        layout.notepads.mkdir(parents=True)
        layout.archive.symlink_to(other)
        with pytest.raises(UnsupportedFilesystem, match="several file systems"):
            anyio.run(_open, layout)
    finally:
        shutil.rmtree(other)


async def _open(layout: Layout) -> None:
    async with FilesystemOrderQueue(
        layout, machine="test", clock=ManualClock(), incidents=MemoryIncidentSink()
    ):
        pass


async def test_network_folder_is_refused_unless_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused with a sentence; polled when told to, and then orders are found all the same."""
    module = sys.modules["galaxy_adapters._files.filesystem_kind"]
    monkeypatch.setattr(module, "filesystem_kind", lambda _folder: "nfs4")
    layout = Layout(tmp_path)
    with pytest.raises(UnsupportedFilesystem, match="polled"):
        await _open(layout)
    async with FilesystemOrderQueue(
        layout,
        machine="test",
        clock=ManualClock(),
        incidents=MemoryIncidentSink(),
        is_polling=True,
        times=QueueTimes(poll=timedelta(milliseconds=10)),
    ) as queue:
        (layout.orders / "a.json").write_bytes(encode_order(make_order(id="a")))
        with anyio.fail_after(10):
            while (delivery := await queue.claim()) is None:
                await queue.wait()
        assert delivery.order.id == "a"


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """Give a disk of 256 KB and few inodes; skips, visibly, where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=80", "galaxy-test", place],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    return place


@pytest.mark.parametrize("payload", ["x", "x" * 9_000])
async def test_full_disk_refuses_orders_and_keeps_those_it_has(
    small_disk: Path, payload: str
) -> None:
    """Out of inodes or out of space: what was accepted is there, and runs once there is room."""
    try:
        async with files_queue(small_disk) as harness:
            queue = await harness.open()
            accepted: list[Order] = []

            async def fill() -> None:
                for _ in range(200):
                    order = make_order(payload=payload)
                    await queue.enqueue(order)
                    accepted.append(order)

            with pytest.raises(StorageUnavailable, match="free some"):
                await fill()
            assert len(accepted) > ROOM
            # A little room, as a person makes it: an order in work needs a few names.
            for order in accepted[:ROOM]:
                (harness.layout.orders / f"{order.id}.json").unlink()
            got = []
            for _ in accepted[ROOM:]:
                delivery = await harness.next(queue)
                got.append(delivery.order.id)
                await queue.ack(delivery, make_ending())
                (harness.layout.archive / f"{delivery.order.id}.json").unlink()
            assert got == [order.id for order in accepted[ROOM:]]
            assert await queue.claim() is None
    finally:
        subprocess.run(["umount", small_disk], check=True)
