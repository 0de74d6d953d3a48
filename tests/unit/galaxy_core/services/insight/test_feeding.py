"""Feeding the index: every line once, whoever feeds, whatever breaks."""

from datetime import timedelta

import anyio
import pytest

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.trail_index import AuditSearch
from galaxy_core.services.insight import TrailFeeding, feeding
from galaxy_core.testing.clock import START, settle
from galaxy_core.testing.factories import make_event, make_order
from galaxy_core.testing.memory import MemoryTrailIndex
from tests.unit.galaxy_core.services.insight.scene import Scene


@pytest.fixture
def scene() -> Scene:
    """Give two machines and a gateway."""
    return Scene()


def known(scene: Scene) -> list[str]:
    """The orders of all lines that the index has, in the order in which they were added."""
    return [event.order_id or "" for _, event in scene.box.lines]


def write(scene: Scene, *order_ids: str) -> None:
    """Lines in the trail of the default machine."""
    for order_id in order_ids:
        scene.lab.lines.add(make_event(order_id=order_id, machine="lab"))


async def test_what_is_written_is_added_within_a_second(scene: Scene) -> None:
    """Lines from before, lines that come, of every trail; none twice."""
    write(scene, "a", "b")
    scene.home_lines.add(make_event(order_id="h"))
    async with scene.fed():
        assert sorted(known(scene)) == ["a", "b", "h"]
        write(scene, "c")
        await scene.clock.elapse(feeding.PAUSE)
        assert known(scene)[3:] == ["c"]
        await scene.clock.elapse(timedelta(minutes=1))
    assert len(known(scene)) == 4


async def test_many_lines_come_in_batches(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the trail."""
    monkeypatch.setattr(feeding, "BATCH", 3)
    write(scene, *(str(number) for number in range(10)))
    async with scene.fed():
        assert known(scene) == [str(number) for number in range(10)]
        assert scene.faults.writes.count("index.add") == 4


async def test_catching_up_adds_what_was_written_a_moment_ago(scene: Scene) -> None:
    """A page shows what its own button did, without waiting for the next look."""
    async with scene.fed():
        write(scene, "a")
        await scene.feeding.catch_up()
        assert known(scene) == ["a"]
    write(scene, "b")
    await scene.feeding.catch_up()
    assert known(scene) == ["a"], "it was not ours to feed any more"


async def test_many_who_catch_up_share_a_look(scene: Scene) -> None:
    """Two hundred pages that look at once read the trails twice at most, and all see the line."""
    async with scene.fed():
        before = scene.feeding._looks
        write(scene, "a")
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(scene.feeding.catch_up)
        assert known(scene) == ["a"]
        assert scene.feeding._looks - before <= 2


async def test_another_feeder_takes_over(scene: Scene) -> None:
    """A dashboard beside the gateway feeds when the gateway has gone, and goes on at its mark."""
    other = TrailFeeding(scene.ports)
    async with anyio.create_task_group() as tasks:
        async with scene.fed():
            tasks.start_soon(other.run)
            write(scene, "a")
            await scene.clock.elapse(timedelta(seconds=10))
        write(scene, "b")
        await scene.clock.elapse(feeding.ASK_AGAIN)
        assert known(scene) == ["a", "b"]
        tasks.cancel_scope.cancel()


async def test_store_that_refuses_is_tried_again(scene: Scene) -> None:
    """A full disk costs figures for a while, not the feeder, and no line is lost or doubled."""
    scene.faults.fail("index.add", StorageUnavailable("full"), times=2)
    write(scene, "a")
    async with scene.fed():
        assert known(scene) == []
        await scene.clock.elapse(feeding.ASK_AGAIN * 3)
        assert known(scene) == ["a"]
        scene.faults.fail("index.add", StorageUnavailable("full"))
        write(scene, "b")
        await scene.feeding.catch_up()
        await scene.clock.elapse(feeding.ASK_AGAIN * 2)
        assert known(scene) == ["a", "b"]


async def test_bug_costs_figures_not_the_daemon(scene: Scene) -> None:
    """The feeder lives in the process that answers people."""
    scene.faults.fail("index.add", RuntimeError("a bug"))
    write(scene, "a")
    async with scene.fed():
        await scene.clock.elapse(feeding.ASK_AGAIN * 2)
        assert known(scene) == ["a"]


async def test_replaced_trail_is_counted_anew(scene: Scene) -> None:
    """What was counted from lines that are gone must go; other trails are read again with it."""
    write(scene, "a", "b")
    scene.home_lines.add(make_event(order_id="h"))
    async with scene.fed():
        scene.lab.lines.records.clear()
        scene.lab.lines.count = 0
        write(scene, "c")
        await scene.clock.elapse(feeding.PAUSE * 3)
        assert sorted(known(scene)) == ["c", "h"]


async def test_line_without_a_machine_is_its_trails(scene: Scene) -> None:
    """The original system names no machine; its orders count where the trail lies."""
    end = AuditEvent(timestamp=START, event_type="order_executed_success", order_id="old")
    scene.machines["pc"].lines.add(end)
    async with scene.fed():
        totals = await scene.index.totals()
    assert dict(totals.ended) == {("pc", OrderState.SUCCEEDED): 1}


# ---- before there was a trail


async def test_orders_from_before_the_trail_are_counted_once(scene: Scene) -> None:
    """What stands in the archive and in no trail; what stands in both counts as ended."""
    for name in ("a", "b", "c"):
        await scene.lab.submit(make_order(id=name))
    await scene.work()
    scene.lab.lines.records[:] = [
        record for record in scene.lab.lines.records if record.event.order_id == "c"
    ]
    async with scene.fed():
        await scene.lab.submit(make_order(id="d"))
        await scene.work()
        await scene.clock.elapse(feeding.PAUSE * 3)
    totals = await scene.index.totals()
    assert dict(totals.earlier) == {("lab", OrderState.SUCCEEDED): 2}
    assert dict(totals.ended) == {("lab", OrderState.SUCCEEDED): 2}
    assert set(scene.box.earlier) == {"lab", "pc"}


async def test_order_that_ends_while_they_are_counted_is_not_counted_twice(
    scene: Scene,
) -> None:
    """The archive is counted again when an order has ended meanwhile."""
    await scene.lab.submit(make_order(id="a"))
    await scene.work()
    scene.lab.lines.records.clear()
    scene.lab.lines.count = 0
    catalogue = scene.lab.catalogue
    real, counts = catalogue.count, 0

    async def count() -> dict[OrderState, int]:
        nonlocal counts
        counts += 1
        if counts == 1:  # after its line, before its place in the archive
            scene.lab.lines.add(
                make_event(order_id="b", machine="lab", event_type="order_executed_success")
            )
            return await real()
        return {OrderState.SUCCEEDED: 2}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(catalogue), "count", lambda self: count() if self is catalogue else real()
        )
        async with scene.fed():
            await settle()
    assert counts == 2
    assert scene.box.earlier["lab"] == {OrderState.SUCCEEDED: 1}


async def test_two_indexes_never_feed_one_store(scene: Scene) -> None:
    """The second process stands by, however long."""
    async with scene.fed(), MemoryTrailIndex(scene.box).feeder() as feeder:
        assert feeder is None


async def test_lines_that_the_trail_has_no_more_are_forgotten(scene: Scene) -> None:
    """The index grows as the trails do: what was tidied away there goes here within the hour."""
    write(scene, "a", "b", "c")
    scene.home_lines.add(make_event(order_id="h"))
    index = MemoryTrailIndex(scene.box)

    async def found() -> set[str | None]:
        return {event.order_id for _, event in (await index.search(AuditSearch())).events}

    async with scene.fed():
        assert await found() == {"a", "b", "c", "h"}
        del scene.lab.lines.records[:2]
        await scene.clock.elapse(feeding.FORGET_EVERY + feeding.PAUSE * 2)
        assert await found() == {"c", "h"}
        assert (await index.totals()).events["order_received"] == 4
    asked = scene.faults.writes.count("index.forget_before")
    async with scene.fed():
        await scene.clock.elapse(feeding.FORGET_EVERY * 3)
    assert scene.faults.writes.count("index.forget_before") == asked, "nothing was removed since"
