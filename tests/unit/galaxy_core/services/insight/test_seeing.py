"""What pages see: true figures, live orders, an order's whole way, records."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import MachineNotFound, OrderNotFound, StorageUnavailable
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.insight import Level
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Priority
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.run import TextAppended
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.services import backlog
from galaxy_core.services.insight.seeing import MAX_SLOTS
from galaxy_core.testing.factories import make_event, make_letter, make_order, make_session
from galaxy_core.testing.memory import (
    Hang,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOutbox,
    Script,
)
from tests.unit.galaxy_core.services.insight.scene import Scene


@pytest.fixture
def scene() -> Scene:
    """Give two machines whose Hermes run."""
    scene = Scene()
    for name in scene.names:
        scene.beat(name)
    return scene


async def test_all_is_well(scene: Scene) -> None:
    """With nothing wrong there is nothing to do."""
    async with scene.fed():
        overview = await scene.insight.overview()
    assert (overview.level, overview.findings, overview.at) == (
        Level.WELL,
        (),
        scene.clock.now(),
    )
    assert [machine.name for machine in overview.machines] == ["lab", "pc"]
    assert {machine.level for machine in overview.machines} == {Level.WELL}
    assert overview.is_gateway_up is True


async def test_overview_is_as_bad_as_its_worst_machine(scene: Scene) -> None:
    """The machine is named, the finding stands first, the others stay well."""
    scene.beat("pc", ago=timedelta(minutes=4))
    await scene.desk.submit(make_order(id="a"), machine="pc")
    letters = MemoryOutbox(scene.clock, scene.lab.letters)
    await letters.post(make_letter(name="x"))
    await letters.set_aside((await letters.pending())[0], "gone")
    async with scene.fed():
        overview = await scene.insight.overview()
    assert overview.level is Level.UNWELL
    assert [(f.machine, f.level) for f in overview.findings] == [
        ("pc", Level.UNWELL),
        ("lab", Level.DOUBTFUL),
    ]
    assert overview.findings[0].what == (
        "Hermes on pc gives no sign of life for 4 min; 1 order waits."
    )
    assert [machine.level for machine in overview.machines] == [Level.DOUBTFUL, Level.UNWELL]


async def test_machine_counts_all_its_orders(scene: Scene) -> None:
    """Live ones from their files, ended ones from the trail, those of before from the archive."""
    scene.lab.agent.script("fail", Script.failing("no"))
    for name, payload in (("a", "x"), ("b", "fail"), ("c", "x"), ("old", "x")):
        await scene.lab.submit(make_order(id=name, payload=payload))
    await scene.work("lab")
    scene.lab.lines.records[:] = [
        record for record in scene.lab.lines.records if record.event.order_id != "old"
    ]
    await scene.lab.submit(make_order(id="d"), make_order(id="e"))
    await scene.lab.submit(make_order(id="later", not_before=scene.clock.now() + timedelta(days=1)))
    await MemoryOutbox(scene.clock, scene.lab.letters).post(make_letter())
    scene.folders["lab"].log.append("x")
    async with scene.fed():
        await scene.clock.elapse(timedelta(minutes=20))
        machine = await scene.insight.machine()
        assert machine.counts == {
            OrderState.SUCCEEDED: 3,
            OrderState.FAILED: 1,
            OrderState.PENDING: 3,
        }
        assert machine.oldest_waiting == timedelta(minutes=20), "the one of tomorrow does not wait"
        assert (machine.outbox, machine.undeliverable) == (5, 0)
        assert machine.disk_total_bytes > machine.disk_free_bytes > 0
        assert (await scene.insight.machine("PC-server")).counts == {}
        with pytest.raises(MachineNotFound):
            await scene.insight.machine("nowhere")


async def test_folder_that_cannot_be_read_is_a_finding(scene: Scene) -> None:
    """A disk that is gone is what the page is there to say, not a page that fails."""
    gone = StorageUnavailable("gone")
    scene.folders["pc"].faults.fail("folder.space", gone, times=None)
    async with scene.fed():
        overview = await scene.insight.overview()
    assert overview.level is Level.UNWELL
    assert [finding.machine for finding in overview.findings] == ["pc"]


async def test_queue_that_cannot_be_read_is_a_finding(scene: Scene) -> None:
    """The other machines are shown, and so is what the trail knows of this one."""
    await scene.machines["pc"].submit(make_order(id="a"))
    await scene.work("pc")
    pc = scene.machines["pc"]
    pc.faults.fail("catalogue.list", StorageUnavailable("gone"), times=None)
    async with scene.fed():
        overview = await scene.insight.overview()
        figures = await scene.insight.figures()
    assert [finding.what for finding in overview.findings] == [
        "The folder of pc cannot be looked at."
    ]
    assert overview.machines[1].counts == {OrderState.SUCCEEDED: 1}
    assert figures.orders["pc", OrderState.SUCCEEDED] == 1


async def test_overview_stands_without_figures(scene: Scene) -> None:
    """An index that is being made anew does not hide that Hermes is gone."""
    scene.beat("pc", ago=timedelta(hours=1))
    scene.faults.fail("index.totals", StorageUnavailable("It is damaged."), times=None)
    overview = await scene.insight.overview()
    assert [(f.level, f.machine) for f in overview.findings] == [
        (Level.UNWELL, "pc"),
        (Level.DOUBTFUL, None),
    ]
    assert "It is damaged." in overview.findings[1].what


async def test_live_orders_stand_in_the_order_of_their_turn(scene: Scene) -> None:
    """Running ones first, of all machines, with what they do; then who waits, urgent ones first."""
    scene.lab.agent.default = Script((TextAppended(text="so far", part="1"), Hang()))
    await scene.lab.submit(make_order(id="runs"))
    async with scene.lab.running():
        await scene.clock.elapse(timedelta(seconds=1))
        for name, priority in (("b", Priority.NORMAL), ("c", Priority.URGENT)):
            await scene.clock.elapse(timedelta(seconds=1))
            await scene.machines["pc"].submit(make_order(id=name, priority=priority))
        live = await scene.insight.live()
        assert [item.view.order.id for item in live] == ["runs", "c", "b"]
        assert [item.machine for item in live] == ["lab", "pc", "pc"]
        assert live[0].view.state is not OrderState.PENDING
        assert live[0].progress is not None
        assert live[0].progress.text == "so far"
        assert live[1].progress is None
        scene.lab.agent.release()
        await scene.clock.elapse(timedelta(seconds=2))
    assert [item.view.order.id for item in await scene.insight.live()] == ["c", "b"]


async def test_many_pages_read_the_queue_once(scene: Scene) -> None:
    """Two hundred pages that look in the same second cost as much as one."""
    looks = 0
    real = MemoryOrderCatalogue.list

    async def listed(
        self: MemoryOrderCatalogue, *, states: frozenset[OrderState], limit: int | None
    ) -> Sequence[OrderView]:
        nonlocal looks
        looks += 1
        assert states.isdisjoint(FINAL), "the archive is not to be listed"
        return await real(self, states=states, limit=limit)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryOrderCatalogue, "list", listed)
        for _ in range(20):
            await scene.insight.live()
            await scene.insight.overview()
        assert looks == 2, "once for each machine"
        await scene.clock.elapse(timedelta(seconds=1))
        await scene.insight.live()
        assert looks == 4


async def test_of_very_many_some_are_shown_and_all_counted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs is as new as ever; those that wait, half a minute old, say so."""
    monkeypatch.setattr(backlog, "ALL_UP_TO", 2)
    monkeypatch.setattr(backlog, "SOME", 2)
    for name in "abcde":
        await scene.lab.submit(make_order(id=name))
        await scene.clock.elapse(timedelta(minutes=1))
    live = await scene.insight.live()
    assert [(item.view.order.id, item.is_fresh) for item in live] == [("a", False), ("b", False)]
    machine = await scene.insight.machine("lab")
    assert machine.counts == {OrderState.PENDING: 5}
    assert machine.oldest_waiting == timedelta(minutes=5)
    assert (await scene.insight.machine("pc")).counts == {}
    assert await MemoryOrderQueue(scene.lab.orders, "worker").claim() is not None
    await scene.clock.elapse(timedelta(seconds=1))
    live = await scene.insight.live()
    assert [(item.view.order.id, item.is_fresh) for item in live] == [("a", True), ("b", False)]
    await scene.clock.elapse(timedelta(seconds=30))
    live = await scene.insight.live()
    assert [item.view.order.id for item in live] == ["a", "b", "c"]
    counts = (await scene.insight.machine("lab")).counts
    assert counts == {OrderState.CLAIMED: 1, OrderState.PENDING: 4}


async def test_timeline_is_the_whole_way(scene: Scene) -> None:
    """From the gateway's line to the delivery, over every trail, with answer and files."""
    scene.home_lines.add(make_event(event_type="message_held", order_id="a", machine="home"))
    scene.folders["pc"].files["a"] = ["/files/a.png"]
    async with scene.fed():
        await scene.desk.submit(make_order(id="a"), machine="pc")
        await scene.work("pc")
        timeline = await scene.insight.timeline(OrderId("a"))
        assert timeline.machine == "pc"
        types = [event.event_type for event in timeline.events]
        assert types[:2] == ["message_held", "order_submitted"]
        assert types[-1] == "order_executed_success"
        assert timeline.response is not None
        assert timeline.view.ending is not None
        assert timeline.files == ("/files/a.png",)
        with pytest.raises(OrderNotFound):
            await scene.insight.timeline(OrderId("b"))


async def test_charts_reach_until_now(scene: Scene) -> None:
    """Pieces from `since` to now, empty ones too; never so many that a page chokes."""
    begun = scene.clock.now()
    async with scene.fed():
        await scene.clock.elapse(timedelta(minutes=5))
        await scene.desk.submit(make_order(id="a"))
        await scene.lab.hermes().run(until_idle=True)
        slots = await scene.insight.slots(begun, timedelta(minutes=2))
        assert [dict(slot.ended) for slot in slots] == [{}, {}, {Outcome.SUCCEEDED: 1}]
        many = await scene.insight.slots(begun - timedelta(days=365), timedelta(seconds=1))
        assert len(many) == MAX_SLOTS
        assert many[-1].begins <= scene.clock.now() <= many[-1].begins + timedelta(seconds=1)
        finest = await scene.insight.slots(begun, timedelta(0))
        assert finest[1].begins - finest[0].begins == timedelta(seconds=1)
        assert len(await scene.insight.slots(scene.clock.now(), timedelta(hours=1))) == 1


async def test_figures_name_every_machine_and_state(scene: Scene) -> None:
    """A metric that is missing while it is zero breaks whoever adds them up."""
    scene.beat("pc", ago=timedelta(minutes=5))
    await scene.lab.submit(make_order(id="a"))
    await scene.work("lab")
    await scene.lab.submit(make_order(id="b"))
    async with scene.fed():
        await scene.clock.elapse(timedelta(seconds=30))
        figures = await scene.insight.figures()
    assert set(figures.orders) == {(n, state) for n in scene.names for state in OrderState}
    assert figures.orders["lab", OrderState.SUCCEEDED] == 1
    assert figures.orders["lab", OrderState.PENDING] == 1
    assert sum(figures.orders.values()) == 2
    assert figures.oldest_waiting == {"lab": timedelta(seconds=30)}
    assert figures.is_agent_up == {"lab": True, "pc": False}
    assert figures.run_seconds.counts[-1] == 1
    assert figures.events["order_executed_success"] == 1


# ---- records


async def test_trail_is_searched_newest_first(scene: Scene) -> None:
    """What was written a moment ago is found; a page is never longer than a page."""
    async with scene.fed():
        for number in range(5):
            scene.lab.lines.add(
                make_event(
                    order_id=f"o{number}",
                    timestamp=scene.clock.now() + timedelta(seconds=number),
                    severity=AuditSeverity.ERROR if number == 1 else AuditSeverity.INFO,
                    machine="lab",
                )
            )
        page = await scene.records.audit(limit=2)
        assert [event.order_id for _, event in page.events] == ["o4", "o3"]
        page = await scene.records.audit(cursor=page.cursor, limit=99_999)
        assert [event.order_id for _, event in page.events] == ["o2", "o1", "o0"]
        assert page.cursor is None
        found = (await scene.records.audit(severity=AuditSeverity.ERROR, machine="lab")).events
        assert [event.order_id for _, event in found] == ["o1"]
        assert len((await scene.records.audit(limit=0)).events) == 1
        assert (await scene.records.audit(text="O3")).events[0][1].order_id == "o3"


async def test_sessions_of_all_machines(scene: Scene) -> None:
    """The conversation used last comes first, wherever it is."""
    now = scene.clock.now()
    for minutes, name in enumerate(("lab", "pc", "lab")):
        key = ConversationKey(f"c{minutes}")
        session = make_session(conversation=key, updated_at=now + timedelta(minutes=minutes))
        await scene.machines[name].sessions.put(session)
    found = [(name, session.conversation) for name, session in await scene.records.sessions()]
    assert found == [("lab", "c2"), ("pc", "c1"), ("lab", "c0")]


async def test_health_log_of_all_machines(scene: Scene) -> None:
    """The newest lines of all, in the order of their times."""
    assert list(await scene.records.health_log()) == []
    scene.folders["lab"].log += ["2026-02-02T10 a", "2026-02-02T12 c"]
    scene.folders["pc"].log += ["2026-02-02T11 b", "2026-02-02T13 d"]
    assert [line[-1] for line in await scene.records.health_log()] == ["a", "b", "c", "d"]
    assert [line[-1] for line in await scene.records.health_log(2)] == ["c", "d"]
