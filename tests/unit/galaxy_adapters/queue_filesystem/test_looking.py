"""However many orders wait, a look reads few of their files."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderCatalogue, _looking
from galaxy_adapters.queue_filesystem import catalogue as filesystem_catalogue
from galaxy_adapters.queue_filesystem._identity import Identity, Owner
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import OrderState
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.memory import MemoryControl
from galaxy_core.wire.layout import Layout
from tests.contract.files_queue import FilesQueueHarness, files_queue

pytestmark = pytest.mark.anyio

WAITING = frozenset({OrderState.PENDING})
MANY = 40


@pytest.fixture(autouse=True)
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is many in life takes too long to make here."""
    monkeypatch.setattr(_looking, "PLACES_UP_TO", MANY - 1)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the files that were read, for whatever purpose."""
    paths: list[str] = []

    def noted(name: str) -> None:
        real = getattr(_looking, name)

        def call(path: object, *args: Any, **kwargs: Any) -> object:  # noqa: ANN401 - any reader's
            paths.append(str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(_looking, name, call)

    noted("read_order")
    noted("read_plain_file")
    return paths


@pytest.fixture
def catalogue(tmp_path: Path) -> FilesystemOrderCatalogue:
    """Many waiting orders, one a second, and a few things beside them that are no orders."""
    layout, clock = Layout(tmp_path), ManualClock()
    layout.orders.mkdir(parents=True)
    for number in range(MANY):
        _drop(layout, f"o{number}", seconds=number)
    (layout.orders / "old.json").mkdir()
    os.utime(layout.orders / "old.json", (0, 0))
    (layout.orders / "new.json").symlink_to("o0.json")
    (layout.orders / "notes.txt").write_text("no order")
    return FilesystemOrderCatalogue(
        layout, machine="lab", clock=clock, control=MemoryControl(clock)
    )


async def test_only_as_many_are_read_as_are_asked_for(
    catalogue: FilesystemOrderCatalogue, read: list[str]
) -> None:
    """The newest or the oldest ones, and no file more."""
    newest = await catalogue.list(states=WAITING, limit=3)
    assert _ids(newest) == ["o39", "o38", "o37"]
    assert len(read) == 3
    oldest = await catalogue.list(states=WAITING, limit=2, oldest_first=True)
    assert _ids(oldest) == ["o0", "o1"]
    assert len(read) == 5
    assert await catalogue.count(states=WAITING) == {OrderState.PENDING: MANY + 2}
    assert len(read) == 5


async def test_places_are_told_of_few(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, read: list[str]
) -> None:
    """One order fewer, and all are read: for each one's place in its conversation."""
    assert {view.place for view in await catalogue.list(states=WAITING, limit=3)} == {None}
    (Layout(tmp_path).orders / "o7.json").unlink()
    read.clear()
    views = await catalogue.list(states=WAITING, limit=3)
    assert [view.place for view in views] == [MANY - 1, MANY - 2, MANY - 3]
    assert len(read) == MANY - 1


async def test_order_is_read_alone(catalogue: FilesystemOrderCatalogue, read: list[str]) -> None:
    """Who asks after one order, as the gateway does all the time, has one file read."""
    view = await catalogue.get(OrderId("o20"))
    assert view is not None
    assert (view.state, view.place) == (OrderState.PENDING, None)
    assert len(read) == 1
    # A message that is new: nobody knows the order that will be made of it.
    assert await catalogue.get(OrderId("galaxy-telegram-7"), only_enqueued=True) is None
    assert len(read) == 2


async def test_order_named_otherwise_is_searched_for_once(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, read: list[str]
) -> None:
    """A file that somebody dropped in under another name is looked at again without a search."""
    _drop(Layout(tmp_path), "todo", order_id="mine", seconds=10)
    assert await catalogue.get(OrderId("mine"), only_enqueued=True) is None
    read.clear()
    assert await catalogue.get(OrderId("mine")) is not None
    assert len(read) > MANY, "searched for"
    read.clear()
    assert await catalogue.get(OrderId("mine")) is not None
    assert await catalogue.get(OrderId("mine"), only_enqueued=True) is not None
    assert len(read) == 4


async def test_listed_order_needs_no_search(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, read: list[str]
) -> None:
    """Whoever has it from a list asks after it by its id."""
    _drop(Layout(tmp_path), "todo", order_id="mine", seconds=100)
    assert _ids(await catalogue.list(states=WAITING, limit=1)) == ["mine"]
    read.clear()
    assert await catalogue.get(OrderId("mine")) is not None
    assert len(read) == 2


async def test_copy_of_a_waiting_order_goes_by_a_number(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, read: list[str]
) -> None:
    """As where all are read: who cancels what the list shows must not cancel the other one."""
    layout = Layout(tmp_path)
    _drop(layout, "copy", order_id="o3", payload="other", seconds=100)
    (newest,) = await catalogue.list(states=WAITING, limit=1)
    assert (newest.order.id, newest.order.payload) == ("o3-2", "other")
    read.clear()
    for _ in range(2):
        view = await catalogue.get(OrderId("o3-2"))
        assert view is not None
        assert view.order.payload == "other"
    assert len(read) == 4, "not searched for"
    view = await catalogue.get(OrderId("o3"))
    assert view is not None
    assert view.order.payload == "hello"


async def test_few_are_remembered(
    catalogue: FilesystemOrderCatalogue,
    tmp_path: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those stay that were asked for last; for another one there is the search."""
    monkeypatch.setattr(_looking, "REMEMBERED", 2)
    for number, order_id in enumerate("abc"):
        _drop(Layout(tmp_path), f"todo-{order_id}", order_id=order_id, seconds=100 + number)
    for asked in "abac":
        assert await catalogue.get(OrderId(asked)) is not None
    read.clear()
    assert await catalogue.get(OrderId("a")) is not None
    assert len(read) == 2
    assert await catalogue.get(OrderId("b")) is not None
    assert len(read) > MANY


async def test_all_come_in_pieces(
    catalogue: FilesystemOrderCatalogue,
    tmp_path: Path,
    read: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each file is read once, few at a time; ids are those of the whole list."""
    monkeypatch.setattr(filesystem_catalogue, "PIECE", 7)
    for number in (5, 15, 25):
        _drop(Layout(tmp_path), f"same-{number}", order_id="same", seconds=number)
    pieces = [_ids(views) async for views in catalogue.unfinished()]
    assert max(map(len, pieces)) == 7
    assert len(read) == MANY + 3
    found = [order_id for piece in pieces for order_id in piece]
    everything = await catalogue.list(states=WAITING, limit=None, oldest_first=True)
    assert found == _ids(everything)
    assert {"same", "same-2", "same-3"} < set(found)


async def test_order_that_is_held_for_a_moment_is_not_missed(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tidying must not take one for gone that was claimed, and given back, while it looked."""
    monkeypatch.setattr(filesystem_catalogue, "PIECE", 10)
    waits, away = Layout(tmp_path).orders / "o15.json", tmp_path / "away"
    found: list[str] = []
    async for views in catalogue.unfinished():
        found += _ids(views)
        if len(found) == 10:
            waits.rename(away)
        elif len(found) == 19:
            away.rename(waits)
    assert sorted(found) == sorted(f"o{number}" for number in range(MANY))


async def test_order_that_is_given_back_while_others_are_read_is_not_missed(
    catalogue: FilesystemOrderCatalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was held when files were listed, and waits when those that are held are looked at."""
    monkeypatch.setattr(filesystem_catalogue, "PIECE", 10)
    waits, away = Layout(tmp_path).orders / "o15.json", tmp_path / "away"
    waits.rename(away)
    found: list[str] = []
    async for views in catalogue.unfinished():
        found += _ids(views)
        if len(found) == 10:
            away.rename(waits)
    assert sorted(found) == sorted(f"o{number}" for number in range(MANY))


async def test_order_that_the_disk_does_not_give_out_is_no_ended_one(
    catalogue: FilesystemOrderCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks for all unfinished orders hears of it: tidying would take what it needs away."""
    real = os.open

    def failing(path: str, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as `os.open` has them
        if str(path).endswith("o15.json"):
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", failing)
    with pytest.raises(StorageUnavailable):
        assert [views async for views in catalogue.unfinished()]
    assert len(await catalogue.list(states=WAITING, limit=None)) == MANY - 1


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[FilesQueueHarness]:
    """A folder with workers."""
    async with files_queue(tmp_path) as harness:
        yield harness


async def test_held_order_is_known_by_its_own_link(
    harness: FilesQueueHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that were tried and wait again, however many, are not looked at for it."""
    queue, catalogue = await harness.open(), await harness.catalogue()
    for number in range(MANY):
        await queue.enqueue(make_order(id=f"o{number}"))
    deliveries = [await harness.claim(queue) for _ in range(MANY)]
    for delivery in deliveries[1:]:
        await queue.nack(delivery)
    links: list[str] = []
    owner = Identity.owner

    def noted(identity: Identity, order_id: str) -> Owner | None:
        links.append(order_id)
        return owner(identity, order_id)

    monkeypatch.setattr(Identity, "owner", noted)
    held = deliveries[0].order.id
    assert (await catalogue.get(held)) is not None
    assert len(await catalogue.list(states=frozenset({OrderState.CLAIMED}))) == 1
    assert set(links) == {held}


async def test_claimed_order_keeps_its_id(harness: FilesQueueHarness) -> None:
    """Though it waits again beside a file that is named after the id."""
    queue, catalogue = await harness.open(), await harness.catalogue()
    _drop(harness.layout, "copy", order_id="x", payload="first", seconds=1)
    delivery = await harness.claim(queue)
    _drop(harness.layout, "x", payload="later", seconds=2)
    await queue.nack(delivery)
    for view in (await catalogue.get(OrderId("x")), *await catalogue.list(oldest_first=True)):
        assert view is not None
        assert (view.order.id == "x") == (view.order.payload == "first")


async def test_link_that_a_crash_left_names_no_other_order(
    harness: FilesQueueHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later file of the same name goes by the id that it got, not by the one that has ended."""
    queue, catalogue = await harness.open(), await harness.catalogue()
    await queue.enqueue(make_order(id="x"))
    with monkeypatch.context() as crash:
        crash.setattr(Identity, "release", lambda *_: None)
        await queue.ack(await harness.claim(queue), make_ending())
    _drop(harness.layout, "x", seconds=1)
    running = (await harness.claim(queue)).order.id
    assert running == "x-2"
    view = await catalogue.get(running)
    assert view is not None
    assert view.state is OrderState.CLAIMED
    assert _ids(await catalogue.list(states=frozenset({OrderState.CLAIMED}))) == ["x-2"]


def _drop(layout: Layout, name: str, *, seconds: int, **fields: object) -> None:
    order = {"type": "galaxy_order", "payload": "hello", "session": "talk", **fields}
    path = layout.orders / f"{name}.json"
    path.write_text(json.dumps(order))
    os.utime(path, (1_000 + seconds, 1_000 + seconds))


def _ids(views: Sequence[OrderView]) -> list[str]:
    return [str(view.order.id) for view in views]
