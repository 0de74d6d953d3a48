"""Counting what is open does not look at what is over."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from galaxy_adapters.queue_filesystem import (
    FilesystemOrderCatalogue,
    _dead_letters,
    undecided_dead_letters,
)
from galaxy_adapters.queue_filesystem._archive import Archive
from galaxy_adapters.queue_filesystem._paths import QueuePaths
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.memory import MemoryControl
from galaxy_core.wire.layout import Layout
from tests.contract.files_queue import files_queue

pytestmark = pytest.mark.anyio


async def test_open_orders_are_counted_without_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred thousand orders that ended cost the count of the open ones nothing."""
    layout, clock = Layout(tmp_path), ManualClock()
    layout.orders.mkdir(parents=True)
    (layout.orders / "one.json").write_text('{"type": "galaxy_order", "payload": "hello"}')

    def read(_archive: Archive) -> None:
        raise AssertionError("the archive was read")

    monkeypatch.setattr(Archive, "tally", read)
    catalogue = FilesystemOrderCatalogue(
        layout, machine="lab", clock=clock, control=MemoryControl(clock)
    )
    live = frozenset(OrderState) - FINAL
    assert await catalogue.count(states=live) == {OrderState.PENDING: 1}


async def test_dead_letters_are_known_without_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looked for at the first start only; each is listed until somebody has it tried again."""
    async with files_queue(tmp_path) as harness:
        layout = harness.layout
        layout.archive.mkdir(parents=True)
        old = {"order_id": "old", "payload": "x", "acknowledged": True, "outcome": "dead"}
        (layout.archive / "old.json").write_text(json.dumps(old))
        for number in range(20):
            done = old | {"order_id": f"{number}", "outcome": "succeeded"}
            (layout.archive / f"{number}.json").write_text(json.dumps(done))
        assert undecided_dead_letters(layout) == ["old"], "before any worker has begun"
        queue = await harness.open()
        await queue.enqueue(make_order(id="new"))
        delivery = await queue.claim()
        assert delivery is not None
        await queue.ack(delivery, make_ending(outcome=Outcome.DEAD))

        read: list[str] = []
        glance = Archive.glance

        def look(archive: Archive, name: str) -> Outcome:
            read.append(name)
            return glance(archive, name)

        monkeypatch.setattr(Archive, "glance", look)
        assert sorted(undecided_dead_letters(layout)) == ["new", "old"]
        assert sorted(read) == ["new.json", "old.json"]
        assert len(undecided_dead_letters(layout, limit=1)) == 1
        await (await harness.catalogue()).retry(OrderId("new"))
        assert undecided_dead_letters(layout) == ["old"]
        (layout.archive / "old.json").unlink()
        assert undecided_dead_letters(layout) == []


async def test_a_death_before_the_archive_lists_nothing(tmp_path: Path) -> None:
    """The name comes first; without an order that was given up it means nothing."""
    async with files_queue(tmp_path) as harness:
        await harness.open()
        archive = Archive(QueuePaths(harness.layout))
        archive.dead.note("open")
        assert undecided_dead_letters(harness.layout) == []


async def test_strange_thing_in_the_archive_keeps_nobody_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder under an order's name, or a file of another user's, is no order of ours."""
    glance = Archive.glance

    def look(archive: Archive, name: str) -> Outcome:
        if name == "theirs.json":
            raise PermissionError
        return glance(archive, name)

    monkeypatch.setattr(Archive, "glance", look)
    async with files_queue(tmp_path) as harness:
        layout = harness.layout
        (layout.archive / "strange.json").mkdir(parents=True)
        dead = {"order_id": "old", "payload": "x", "acknowledged": True, "outcome": "dead"}
        for name in ("old", "theirs"):
            (layout.archive / f"{name}.json").write_text(json.dumps(dead | {"order_id": name}))
        assert undecided_dead_letters(layout) == ["old"]
        await harness.open()
        assert undecided_dead_letters(layout) == ["old"]


async def test_names_that_were_never_finished_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies while it makes the names leaves no folder for ever."""
    layout = Layout(tmp_path)
    (layout.archive).mkdir(parents=True)
    scratch = Path(QueuePaths(layout).scratch)

    def die(_path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(_dead_letters, "sync_directory", die)
        with pytest.raises(KeyboardInterrupt):
            Archive(QueuePaths(layout)).dead.learn()
    assert len(list(scratch.iterdir())) == 1
    tomorrow = time.time() + 86_400
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    async with files_queue(tmp_path) as harness:
        await harness.open()
        assert list(scratch.iterdir()) == []
