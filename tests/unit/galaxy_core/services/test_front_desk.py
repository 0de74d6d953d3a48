"""What programs do with orders: on the right machine, whatever has become of them."""

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import (
    InvalidOrder,
    MachineNotFound,
    OrderNotFound,
    OrderNotRetryable,
)
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.operations import Cancellation, OrderView
from galaxy_core.domain.policy import OrderLimits
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.services import front_desk
from galaxy_core.services.front_desk import LocalFrontDesk, new_order_id
from galaxy_core.testing.clock import START, settle
from galaxy_core.testing.factories import make_order, make_session
from galaxy_core.testing.memory import MemoryOrderCatalogue, MemoryOrderQueue, Script
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_core.services.insight.scene import Scene


@pytest.fixture
def scene() -> Scene:
    """Give two machines."""
    return Scene()


async def test_order_is_handed_in_at_the_machine_that_is_named(scene: Scene) -> None:
    """By name, by another of its names, by the order's own target; the default one else."""
    for number, (machine, target, expected) in enumerate(
        [
            (None, None, "lab"),
            ("pc", None, "pc"),
            ("PC-Server", None, "pc"),
            (None, "pc", "pc"),
            ("lab", "pc", "lab"),
        ]
    ):
        order = make_order(id=f"o{number}", target=target)
        found = await scene.desk.submit(order, machine=machine)
        assert (found.machine, found.view.state) == (expected, OrderState.PENDING)
        assert scene.machines[expected].orders.find(OrderId(f"o{number}")) is not None
        assert scene.machines[expected].types(f"o{number}") == ["order_submitted"]


async def test_unknown_machine_is_named_with_those_there_are(scene: Scene) -> None:
    """Who mistypes a machine is told which ones there are, and nothing is stored."""
    with pytest.raises(MachineNotFound, match="lab, pc"):
        await scene.desk.submit(make_order(), machine="nowhere")
    with pytest.raises(MachineNotFound):
        await scene.desk.list(machine="nowhere")
    with pytest.raises(MachineNotFound):
        await scene.desk.reset_session(ConversationKey("c"), machine="nowhere")
    assert list(scene.lab.orders.all()) == []


@pytest.mark.parametrize(
    "fault",
    [{"payload": " "}, {"payload": "x" * 11}, {"refusals": ("It is not readable.",)}],
    ids=["empty", "too long", "refused"],
)
async def test_order_that_would_be_refused_is_not_taken(
    scene: Scene, fault: dict[str, object]
) -> None:
    """A program hears at once what Hermes would answer later."""
    desk = LocalFrontDesk(
        machines=scene.ports.machines,
        index=scene.index,
        clock=scene.clock,
        limits=OrderLimits(payload_characters=10),
    )
    with pytest.raises(InvalidOrder):
        await desk.submit(make_order(**fault))
    assert list(scene.lab.orders.all()) == []


async def test_order_without_an_id_gets_one(scene: Scene) -> None:
    """Ids begin with the time and are never given twice; the idempotency key still holds."""
    order = evolve(make_order(idempotency_key="mine"), id=OrderId(""))
    found = await scene.desk.submit(order)
    assert found.view.order.id.startswith("20260202-120000-api-")
    assert (await scene.desk.submit(order)).view.order.id == found.view.order.id
    assert len({new_order_id(START) for _ in range(500)}) == 500
    assert [e.data.get("is_repeated") for e in scene.lab.events()] == [None, True]


async def test_order_is_found_wherever_it_is(scene: Scene) -> None:
    """Whoever knows the id need not know the machine; the answer comes with the end."""
    await scene.desk.submit(make_order(id="a"), machine="pc")
    assert (await scene.desk.get(OrderId("a"))).response is None
    await scene.work()
    found = await scene.desk.get(OrderId("a"))
    assert (found.machine, found.view.state) == ("pc", OrderState.SUCCEEDED)
    assert found.response is not None
    assert found.response.order_id == "a"
    for call in (scene.desk.get, lambda i: scene.desk.wait(i, timedelta(1))):
        with pytest.raises(OrderNotFound):
            await call(OrderId("b"))


class Long(MemoryOrderCatalogue):
    """A folder in which so many orders wait that nobody may search through them."""

    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        """Only where the id says."""
        assert only_enqueued, "this takes for ever"
        return await super().get(order_id, only_enqueued=only_enqueued)


async def test_order_is_not_searched_for_where_it_is_not(scene: Scene) -> None:
    """A page that looks at one machine's order each second has no other machine's files read."""
    machines = dict(scene.ports.machines)
    machines["lab"] = evolve(machines["lab"], catalogue=Long(scene.lab.orders))
    desk = LocalFrontDesk(machines=machines, index=scene.index, clock=scene.clock)
    await desk.submit(make_order(id="a"), machine="pc")
    assert (await desk.get(OrderId("a"))).machine == "pc"


async def test_waiting_ends_with_the_order_or_with_patience(scene: Scene) -> None:
    """A long poll gives the end as soon as there is one, else the order as it stands."""
    await scene.desk.submit(make_order(id="a"), machine="pc")
    seen: list[OrderState] = []

    async def wait(patience: timedelta) -> None:
        seen.append((await scene.desk.wait(OrderId("a"), patience)).view.state)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, timedelta(seconds=5))
        await scene.clock.elapse(timedelta(seconds=4))
        assert seen == []
        await scene.clock.elapse(timedelta(seconds=2))
        assert seen == [OrderState.PENDING]
        tasks.start_soon(wait, timedelta(hours=1))
        await settle()
        await scene.work("pc")
        await scene.clock.elapse(timedelta(seconds=1))
    assert seen == [OrderState.PENDING, OrderState.SUCCEEDED]


async def test_cancel_and_retry_reach_the_machine(scene: Scene) -> None:
    """A waiting order ends at once; what ended without success is enqueued again, once."""
    await scene.desk.submit(make_order(id="a"), machine="pc")
    assert await scene.desk.cancel(OrderId("a"), by="ann") is Cancellation.ENDED
    assert await scene.desk.cancel(OrderId("a"), by="ann") is Cancellation.ALREADY_ENDED
    again = await scene.desk.retry(OrderId("a"), by="ann")
    assert await scene.desk.retry(OrderId("a"), by="ann") == again
    assert (await scene.desk.get(again)).machine == "pc"
    with pytest.raises(OrderNotRetryable):
        await scene.desk.retry(again, by="ann")
    for call in (scene.desk.cancel, scene.desk.retry):
        with pytest.raises(OrderNotFound):
            await call(OrderId("b"), by="ann")


async def test_session_is_forgotten_on_record(scene: Scene) -> None:
    """The next order begins anew, and the trail says so; nothing to forget is no deed."""
    talk = ConversationKey("telegram:1")
    await scene.machines["pc"].sessions.put(make_session(conversation=talk, session_id="s"))
    assert not await scene.desk.reset_session(talk, machine=None)
    assert await scene.desk.reset_session(talk, machine="pc")
    assert not await scene.desk.reset_session(talk, machine="pc")
    assert [e.event_type for e in scene.machines["pc"].events()] == ["session_reset"]
    assert scene.lab.events() == []


# ---- lists


async def _some_orders(scene: Scene) -> None:
    """Ended: a (lab), b (pc, failed), c (lab); waiting: d (pc), e (lab)."""
    scene.machines["pc"].agent.script("fail", Script.failing("no"))
    for name, machine, payload in (("a", "lab", "x"), ("b", "pc", "fail"), ("c", "lab", "x")):
        await scene.desk.submit(
            make_order(id=name, payload=payload, session=f"s-{name}"), machine=machine
        )
        await scene.clock.elapse(timedelta(seconds=2))
        await scene.work()
    for name, machine in (("d", "pc"), ("e", "lab")):
        await scene.clock.elapse(timedelta(seconds=2))
        await scene.desk.submit(make_order(id=name, session="s-a"), machine=machine)


async def ids(scene: Scene, **restrictions: object) -> str:
    """Ids of what a list holds."""
    found = await scene.desk.list(**restrictions)  # type: ignore[arg-type]
    return "".join(item.view.order.id for item in found)


async def test_lists_hold_what_was_asked_for(scene: Scene) -> None:
    """Newest first over all machines; machine, states, conversation and number restrict."""
    await _some_orders(scene)
    async with scene.fed():
        assert await ids(scene) == "edcba"
        assert await ids(scene, limit=2) == "ed"
        assert await ids(scene, machine="pc") == "db"
        assert await ids(scene, states=frozenset({OrderState.PENDING})) == "ed"
        assert await ids(scene, states=FINAL) == "cba"
        assert await ids(scene, states=frozenset({OrderState.FAILED})) == "b"
        assert await ids(scene, conversation=ConversationKey("s-a")) == "eda"
        assert await ids(scene, conversation=ConversationKey("s-a"), machine="lab") == "ea"
        assert await ids(scene, conversation=ConversationKey("none")) == ""


async def test_conversation_is_looked_for_among_the_newest(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where very many wait; what runs, though it came before all of them, is found nevertheless."""
    monkeypatch.setattr(front_desk, "LOOKED_AT", 3)
    for name in "abcde":
        await scene.desk.submit(make_order(id=name, session="s"), machine="lab")
        await scene.clock.elapse(timedelta(seconds=1))
    assert await MemoryOrderQueue(scene.lab.orders, "worker").claim() is not None
    live = frozenset(OrderState) - FINAL
    conversation = ConversationKey("s")
    assert await ids(scene, states=live, conversation=conversation) == "edca"
    assert await ids(scene, states=frozenset({OrderState.PENDING}), machine="lab") == "edc"


async def test_order_that_has_just_ended_is_listed(scene: Scene) -> None:
    """Who lists after the end sees the end: where this process feeds the index, at once."""
    async with scene.fed():
        await scene.desk.submit(make_order(id="a"))
        await scene.lab.hermes().run(until_idle=True)
        assert await ids(scene, states=FINAL) == "a"


class NoArchive(MemoryOrderCatalogue):
    """A folder with so many ended orders that nobody may list them."""

    async def list(
        self,
        *,
        states: frozenset[OrderState] | None = None,
        limit: int | None = 50,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        """Live orders only."""
        assert states is not None
        assert states.isdisjoint(FINAL), "this takes for ever"
        return await super().list(states=states, limit=limit, oldest_first=oldest_first)


async def test_ended_orders_are_not_looked_for_in_their_folder(scene: Scene) -> None:
    """A list costs the same with a hundred thousand ended orders."""
    await _some_orders(scene)
    machines = {
        name: evolve(ports, catalogue=NoArchive(scene.machines[name].orders))
        for name, ports in scene.ports.machines.items()
    }
    desk = LocalFrontDesk(machines=machines, index=scene.index, clock=scene.clock)
    async with scene.fed():
        found = await desk.list()
        assert "".join(item.view.order.id for item in found) == "edcba"


async def test_orders_from_before_the_trail_are_listed(scene: Scene) -> None:
    """The archive of an old installation is shown too, though the index knows only its size."""
    await _some_orders(scene)
    scene.lab.lines.records.clear()
    async with scene.fed():
        await scene.clock.elapse(timedelta(seconds=3))
        assert scene.box.earlier["lab"] == {OrderState.SUCCEEDED: 2}
        assert await ids(scene) == "edcba"
        assert await ids(scene, conversation=ConversationKey("s-c")) == "c"


class Tidied(NoArchive):
    """A folder from which somebody has removed an ended order."""

    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        """All but that one."""
        if order_id == "c":
            return None
        return await super().get(order_id, only_enqueued=only_enqueued)


async def test_archive_that_was_tidied_up_leaves_no_hole(scene: Scene) -> None:
    """An order whose file is gone is passed over, and the next one takes its place."""
    await _some_orders(scene)
    lab = evolve(scene.ports.machines["lab"], catalogue=Tidied(scene.lab.orders))
    desk = LocalFrontDesk(machines={"lab": lab}, index=scene.index, clock=scene.clock)
    async with scene.fed():
        assert [item.view.order.id for item in await desk.list(limit=2)] == ["e", "a"]


async def test_machines_that_share_a_folder_share_its_orders(scene: Scene) -> None:
    """Each order is listed once, under the machine that it asks for."""
    lab = scene.ports.machines["lab"]
    guest = evolve(lab, name="guest", names=frozenset({"guest"}), layout=Layout("/machines/lab"))
    desk = LocalFrontDesk(
        machines={"lab": lab, "guest": guest}, index=scene.index, clock=scene.clock
    )
    await desk.submit(make_order(id="a"))
    await desk.submit(make_order(id="b", target="guest"))
    found = {item.view.order.id: item.machine for item in await desk.list()}
    assert found == {"a": "lab", "b": "guest"}
    assert [i.view.order.id for i in await desk.list(machine="guest")] == ["b"]
    assert (await desk.get(OrderId("b"))).machine == "guest"
