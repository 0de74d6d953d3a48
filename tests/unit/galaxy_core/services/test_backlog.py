"""Looks that are made again and again see what they need, and read no more."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import define, field

from galaxy_core.services import backlog
from galaxy_core.services.backlog import live_orders, look_again, waiting_backlog
from galaxy_core.services.health.probes import waiting_orders
from galaxy_core.services.kept import Kept
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.factories import make_order
from galaxy_core.testing.memory import MemoryOrderCatalogue, MemoryOrderQueue, MemoryOrders

MANY = 6


@define
class Scene:
    """A queue in which six orders are many, and two are some."""

    clock: ManualClock = field(factory=ManualClock)
    orders: MemoryOrders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.orders = MemoryOrders(self.clock)

    @property
    def queue(self) -> MemoryOrderQueue:
        """For whoever gives or takes orders."""
        return MemoryOrderQueue(self.orders, "worker")

    @property
    def catalogue(self) -> MemoryOrderCatalogue:
        """What is looked at."""
        return MemoryOrderCatalogue(self.orders)

    async def enqueue(self, *names: str, later: bool = False) -> None:
        """One order a minute; `later`: each for tomorrow."""
        for name in names:
            tomorrow = self.clock.now() + timedelta(days=1) if later else None
            await self.queue.enqueue(make_order(id=name, not_before=tomorrow))
            await self.clock.elapse(timedelta(minutes=1))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Give an empty queue."""
    monkeypatch.setattr(backlog, "ALL_UP_TO", MANY - 1)
    monkeypatch.setattr(backlog, "SOME", 2)
    return Scene()


async def test_few_orders_are_all_seen(scene: Scene) -> None:
    """As many as people can have a look at, they have a look at; the newest first."""
    await scene.enqueue(*"abcde")
    assert await scene.queue.claim() is not None
    await scene.enqueue("f")
    seen = await live_orders(scene.catalogue)
    assert [view.order.id for view in seen.views] == list("fedcba")
    assert [view.order.id for view in seen.held] == ["a"]
    assert (seen.unseen, seen.number_waiting) == (0, 5)
    assert (await waiting_backlog(scene.catalogue)).number_waiting == 5


async def test_of_many_some_are_seen_and_all_counted(scene: Scene) -> None:
    """Whatever runs is seen; of what waits the oldest, or the newest where they are asked for."""
    await scene.enqueue(*"abcdefghi")
    assert await scene.queue.claim() is not None
    for is_newest, some in ((False, "bc"), (True, "ih")):
        seen = await live_orders(scene.catalogue, newest=is_newest)
        assert [view.order.id for view in seen.waiting] == list(some)
        assert [view.order.id for view in seen.held] == ["a"]
        assert (seen.unseen, seen.number_waiting) == (6, 8)


async def test_newest_are_seen_where_the_oldest_cannot_begin(scene: Scene) -> None:
    """Orders for tomorrow do not hide those of today."""
    await scene.enqueue(*"abcdef", later=True)
    await scene.enqueue("today")
    seen = await waiting_backlog(scene.catalogue)
    assert [view.order.id for view in seen.waiting] == ["a", "b", "today", "f"]
    assert seen.number_waiting == 7


async def test_what_begins_meanwhile_is_seen_once(scene: Scene) -> None:
    """A second look tells what runs now, and leaves it out of what waited."""
    await scene.enqueue(*"abcdefg")
    seen = await live_orders(scene.catalogue)
    assert (len(seen.waiting), seen.unseen) == (2, 5)
    assert await scene.queue.claim() is not None
    again = await look_again(scene.catalogue, seen)
    assert [view.order.id for view in again.held] == ["a"]
    assert [view.order.id for view in again.waiting] == ["b"]
    assert again.unseen == 5


async def test_age_of_the_oldest_that_could_begin(scene: Scene) -> None:
    """Told of many as of few; those for a time to come have none."""
    assert await waiting_orders(scene.catalogue, scene.clock) == (0, None)
    await scene.enqueue("later", later=True)
    assert await waiting_orders(scene.catalogue, scene.clock) == (1, None)
    await scene.enqueue("a", "b")
    assert await waiting_orders(scene.catalogue, scene.clock) == (3, timedelta(minutes=2))
    await scene.enqueue(*"cdefgh")
    assert await waiting_orders(scene.catalogue, scene.clock) == (9, timedelta(minutes=8))


async def test_age_behind_many_that_cannot_begin(scene: Scene) -> None:
    """Behind very many for a time to come it is that of the oldest among the newest, or none."""
    await scene.enqueue(*"abcdef", later=True)
    assert await waiting_orders(scene.catalogue, scene.clock) == (6, None)
    await scene.enqueue("today", "now", "just")
    assert await waiting_orders(scene.catalogue, scene.clock) == (9, timedelta(minutes=2))


async def test_costly_look_is_kept() -> None:
    """It takes a hundredth of the time at most, and is never older than half a minute."""
    clock, looks = ManualClock(), 0

    async def look() -> int:
        nonlocal looks
        looks += 1
        await clock.elapse(timedelta(seconds=cost))
        return looks

    kept, cost = Kept(clock, look), 0.1
    assert [await kept.get() for _ in range(3)] == [1, 1, 1]
    await clock.elapse(timedelta(seconds=9.9))
    assert await kept.get() == 1
    await clock.elapse(timedelta(seconds=0.2))
    cost = 5
    assert await kept.get() == 2
    await clock.elapse(timedelta(seconds=29))
    assert await kept.get() == 2
    assert [await kept.renew(), await kept.get()] == [3, 3]
    await clock.elapse(timedelta(seconds=31))
    cost = 0
    assert [await kept.get() for _ in range(3)] == [4, 5, 6], "what costs nothing is not kept"


async def test_look_that_fails_is_made_again() -> None:
    """A failure is told to who asked, and not kept."""
    looks = 0

    async def look() -> str:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise OSError("away")
        return "there"

    kept = Kept(ManualClock(), look)
    with pytest.raises(OSError, match="away"):
        await kept.get()
    assert await kept.get() == "there"
