"""Accepting orders: once, for good, and many at the price of few syncs."""

import errno
import os
import stat
import threading
from collections import Counter
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderQueue
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink
from galaxy_core.wire.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Give an empty machine."""
    return Layout(tmp_path)


@pytest.fixture
def gateway(layout: Layout) -> FilesystemOrderQueue:
    """Give a queue that is no worker: it only enqueues."""
    return FilesystemOrderQueue(
        layout, machine="test", clock=ManualClock(), incidents=MemoryIncidentSink()
    )


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is synced, by kind."""
    counts: Counter[str] = Counter()
    sync = os.fsync
    alone = threading.Lock()

    def count(fd: int) -> None:
        with alone:
            counts["folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"] += 1
        sync(fd)

    monkeypatch.setattr(os, "fsync", count)
    return counts


async def test_one_order_costs_two_syncs(
    gateway: FilesystemOrderQueue, syncs: Counter[str]
) -> None:
    """Its file and its folder, and nothing else."""
    await gateway.enqueue(make_order())
    syncs.clear()
    await gateway.enqueue(make_order())
    assert syncs == {"file": 1, "folder": 1}


async def test_many_at_once_share_the_folders_sync(
    gateway: FilesystemOrderQueue, layout: Layout, syncs: Counter[str]
) -> None:
    """Each file is synced, the folder a few times."""
    await gateway.enqueue(make_order())
    syncs.clear()
    async with anyio.create_task_group() as group:
        for _ in range(32):
            group.start_soon(gateway.enqueue, make_order())
    assert syncs["file"] == 32
    assert syncs["folder"] <= 4
    assert len(list(layout.orders.iterdir())) == 33


async def test_one_that_fails_in_a_batch_fails_alone(
    gateway: FilesystemOrderQueue, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are accepted; the one that could not be synced is not there."""
    await gateway.enqueue(make_order(id="first"))
    write = os.write

    def refuse(fd: int, data: bytes) -> int:
        if b"bad order" in data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return write(fd, data)

    monkeypatch.setattr(os, "write", refuse)
    answers: list[str] = []

    async def enqueue(payload: str) -> None:
        try:
            answers.append((await gateway.enqueue(make_order(payload=payload))).order_id)
        except StorageUnavailable:
            answers.append("refused")

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(enqueue, "bad order" if number == 4 else "good order")
    assert answers.count("refused") == 1
    stored = {path.stem for path in layout.orders.iterdir()}
    assert stored == {"first", *answers} - {"refused"}


async def test_cancelled_sender_holds_nobody_up(gateway: FilesystemOrderQueue) -> None:
    """Others who wait with it are answered."""
    answers: list[str] = []

    async def enqueue(scope: anyio.CancelScope) -> None:
        with scope:
            answers.append((await gateway.enqueue(make_order())).order_id)

    scopes = [anyio.CancelScope() for _ in range(12)]
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            for scope in scopes:
                group.start_soon(enqueue, scope)
            await anyio.lowlevel.checkpoint()
            for scope in scopes[::2]:
                scope.cancel()
    assert len(answers) >= 6


async def test_file_that_cannot_be_synced_is_taken_back(
    gateway: FilesystemOrderQueue, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was refused must not be found, and taken for accepted, when it is sent again."""
    order = make_order(id="a")
    await gateway.enqueue(make_order(id="before"))
    sync = os.fsync

    def refuse(fd: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(StorageUnavailable):
            await gateway.enqueue(order)
    assert not (layout.orders / "a.json").exists()
    assert (await gateway.enqueue(order)).is_new


async def test_order_that_was_there_is_synced_before_it_is_confirmed(
    gateway: FilesystemOrderQueue, syncs: Counter[str]
) -> None:
    """Who stored it may have died before its syncs: the second answer promises as much."""
    order = make_order()
    await gateway.enqueue(order)
    syncs.clear()
    assert not (await gateway.enqueue(order)).is_new
    assert syncs == {"file": 1, "folder": 1}


@pytest.mark.parametrize("torn", [b"", b'{"type": "gal'])
@pytest.mark.parametrize("key", [None, "update 7"])
async def test_torn_file_is_not_taken_for_the_order(
    gateway: FilesystemOrderQueue, layout: Layout, torn: bytes, key: str | None
) -> None:
    """A power cut before it was accepted left a torn file: sending again stores it whole."""
    order = make_order(id="a", idempotency_key=key)
    await gateway.enqueue(order)
    (layout.orders / "a.json").write_bytes(torn)
    again = await gateway.enqueue(order)
    assert (again.order_id, again.is_new) == ("a-2", True)
    assert (await gateway.enqueue(order)).order_id == "a-2"
    assert (layout.orders / "a-2.json").stat().st_size > len(torn)


async def test_arrival_is_exact(gateway: FilesystemOrderQueue, layout: Layout) -> None:
    """Orders of one moment keep their order: each file is later than the one before."""
    for number in range(20):
        await gateway.enqueue(make_order(id=f"o{number}"))
    times = [(layout.orders / f"o{n}.json").stat().st_mtime_ns for n in range(20)]
    assert times == sorted(set(times))
