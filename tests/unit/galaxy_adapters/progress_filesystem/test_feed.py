"""Size, number of writes, latency and torn files of feeds; the rest is the contract."""

import errno
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from galaxy_adapters.progress_filesystem import FilesystemProgressFeed, _writer
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import ProgressItem
from galaxy_core.domain.run import (
    Noticed,
    RunEnded,
    RunStarted,
    TextAppended,
    ToolChanged,
    ToolStatus,
    Verdict,
)
from galaxy_core.testing.clock import ManualClock, settle
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio
A = OrderId("a")
STARTED = RunStarted(session_id="ses_1", message_id="msg_1")
ENDED = RunEnded(verdict=Verdict.SUCCEEDED, text="whole")


class Machine:
    """A machine's feeds, with a count of the writes."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(folder)
        self.file = self.layout.progress / "a.jsonl"
        self.writes = 0
        self.error: OSError | None = None
        self._opened: list[FilesystemProgressFeed] = []
        self._real = os.write
        patch.setattr(os, "write", self._write)

    def _write(self, fd: int, data: bytes) -> int:
        self.writes += 1
        if self.error is not None:
            raise self.error
        return self._real(fd, data)

    def feed(self) -> FilesystemProgressFeed:
        """The feeds as one more process opens them."""
        feed = FilesystemProgressFeed(self.layout, ManualClock())
        self._opened.append(feed)
        return feed

    def close(self) -> None:
        """End all processes."""
        self.error = None
        for feed in self._opened:
            feed.close()


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    """A machine without running orders."""
    machine = Machine(tmp_path, monkeypatch)
    yield machine
    machine.close()


def text(number: int) -> TextAppended:
    """A piece of the answer."""
    return TextAppended(text=f"{number} ", part="p")


async def everything(feed: FilesystemProgressFeed, *, after: int = 0) -> list[ProgressItem]:
    """The whole of a feed that has ended."""
    with anyio.fail_after(10):
        return [item async for item in feed.follow(A, after=after)]


async def test_text_in_quick_succession_is_few_writes(machine: Machine) -> None:
    """A thousand pieces in a burst are a handful of writes and lines, and no text is lost."""
    feed = machine.feed()
    await feed.publish(A, STARTED)
    before = time.monotonic()
    for number in range(1_000):
        await feed.publish(A, text(number))
    allowed = 3 + 10 * (time.monotonic() - before)
    await feed.publish(A, ENDED)
    assert machine.writes <= allowed
    items = await everything(machine.feed())
    assert len(items) <= allowed + 2
    pieces = [item.event.text for item in items if isinstance(item.event, TextAppended)]
    assert "".join(pieces) == "".join(f"{number} " for number in range(1_000))


async def test_a_burst_of_events_lets_others_have_their_turn(machine: Machine) -> None:
    """An agent that tells very much must not stop the daemon's other work."""
    feed, turns = machine.feed(), 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        for number in range(320):
            await feed.publish(A, TextAppended(text="word ", part=f"prt_{number}"))
        tasks.cancel_scope.cancel()
    assert turns >= 10


async def test_watcher_in_this_process_does_not_wait_for_the_disk(machine: Machine) -> None:
    """A piece is seen at once, also while it waits to be written with others."""
    feed = machine.feed()
    seen: list[ProgressItem] = []

    async def watch() -> None:
        async for item in feed.follow(A):
            seen.append(item)  # noqa: PERF401 - each as it comes

    async with anyio.create_task_group() as group:
        group.start_soon(watch, name="watch")
        await feed.publish(A, STARTED)
        await settle()
        writes = machine.writes
        for number in range(3):
            await feed.publish(A, text(number))
            await settle()
        assert [item.event for item in seen] == [STARTED, text(0), text(1), text(2)]
        assert machine.writes == writes
        await feed.publish(A, ENDED)


async def test_watcher_that_comes_back_gets_exactly_the_rest(machine: Machine) -> None:
    """Who saw single pieces gets the remainder of the line into which they were joined."""
    feed = machine.feed()
    await feed.publish(A, STARTED)
    for number in range(5):
        await feed.publish(A, text(number))
    await feed.publish(A, ENDED)
    for seen in range(1, 7):
        items = await everything(machine.feed(), after=seen)
        rest = "".join(i.event.text for i in items if isinstance(i.event, TextAppended))
        assert rest == "".join(f"{number} " for number in range(seen - 1, 5))


async def test_outputs_of_tools_are_cut_to_their_end(machine: Machine) -> None:
    """A feed shows at a glance; the outdated ends of one output are left out."""
    feed = machine.feed()
    await feed.publish(A, STARTED)
    for number in range(50):
        running = ToolChanged(
            call_id="c", tool="bash", status=ToolStatus.RUNNING, detail="x" * 50_000 + str(number)
        )
        await feed.publish(A, running)
    await feed.publish(A, ENDED)
    assert machine.file.stat().st_size < 20_000
    last = [i.event for i in await everything(feed) if isinstance(i.event, ToolChanged)][-1]
    assert last.detail.endswith("x49")


async def test_endless_run_does_not_fill_the_disk(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a limit on only milestones are added, and the watcher is told."""
    monkeypatch.setattr(_writer, "MAX_BYTES", 5_000)
    monkeypatch.setattr(_writer, "WRITE_EVERY_S", 0)
    feed = machine.feed()
    await feed.publish(A, STARTED)
    for number in range(500):
        await feed.publish(A, text(number))
    await feed.publish(A, ENDED)
    assert machine.file.stat().st_size < 6_000
    events = [item.event for item in await everything(machine.feed())]
    assert sum(isinstance(event, Noticed) for event in events) == 1
    assert events[-1] == ENDED
    progress = await machine.feed().latest(A)
    assert progress is not None
    assert progress.text == "whole"


async def test_full_disk_holds_no_run_up_and_is_made_good(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the disk refuses waits and is written when there is room again."""
    monkeypatch.setattr(_writer, "RETRY_EVERY_S", 0.01)
    feed, page = machine.feed(), machine.feed()
    machine.error = OSError(errno.ENOSPC, "no space")
    for event in (STARTED, text(1), ENDED):
        await feed.publish(A, event)
    assert [item.event for item in await everything(feed)] == [STARTED, text(1), ENDED]
    assert await page.latest(A) is None
    machine.error = None
    assert [item.event for item in await everything(page)] == [STARTED, text(1), ENDED]


async def test_next_process_goes_on_behind_a_torn_line(machine: Machine) -> None:
    """Hermes was killed in a write: its successor numbers on, and the torn line is passed over."""
    feed = machine.feed()
    await feed.publish(A, STARTED)
    await feed.publish(A, text(1))
    feed.close()
    with machine.file.open("ab") as file:
        file.write(b'{"number": 3, "at": "20')
    successor = machine.feed()
    await successor.publish(A, ENDED)
    items = await everything(machine.feed())
    assert [(item.number, item.event) for item in items] == [(1, STARTED), (2, text(1)), (3, ENDED)]


async def test_feed_that_is_forgotten_ends_for_its_watchers(machine: Machine) -> None:
    """A watcher of a feed that goes away does not wait for ever."""
    feed = machine.feed()
    await feed.publish(A, STARTED)
    watcher = machine.feed().follow(A)
    assert (await anext(watcher)).event == STARTED
    await feed.forget(A)
    with anyio.fail_after(10), pytest.raises(StopAsyncIteration):
        await anext(watcher)
    assert not machine.file.exists()


async def test_many_watchers_share_one_watch(machine: Machine) -> None:
    """A machine has 128 inotify instances; watchers come and go, and each sees everything."""
    feed, page = machine.feed(), machine.feed()
    ended: list[list[ProgressItem]] = []

    async def watch(leaves: bool) -> None:  # noqa: FBT001 - start_soon knows no keywords
        with anyio.CancelScope() as scope:
            items = []
            async for item in page.follow(A):
                items.append(item)
                if leaves:
                    scope.cancel()
            ended.append(items)

    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(watch, number % 2 == 0, name="watch")
        await settle()
        await feed.publish(A, STARTED)
        await settle()
        await feed.publish(A, ENDED)
    assert [len(items) for items in ended] == [2] * 100
    assert page._bells._watch is None


async def test_runs_that_never_end_do_not_pile_up(machine: Machine) -> None:
    """What was given up, or went on elsewhere, leaves no file open; it may speak again."""
    feed = machine.feed()
    orders = [OrderId(f"order-{number}") for number in range(200)]
    for order in orders:
        await feed.publish(order, STARTED)
    assert sum(writer._fd is not None for writer in feed._writers.values()) <= 128
    assert len(feed._writers) <= 128
    await feed.publish(orders[0], ENDED)
    with anyio.fail_after(10):
        items = [item async for item in machine.feed().follow(orders[0])]
    assert [(item.number, item.event) for item in items] == [(1, STARTED), (2, ENDED)]
