"""Where very many orders wait, people see and may do the same with theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from attrs import evolve

from galaxy_core.domain.ask import short_id
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import OrderStatus
from galaxy_core.ports.note_store import Note
from galaxy_core.services import backlog
from galaxy_core.services.gateway import watching
from galaxy_core.services.gateway.limits import PersonLimits
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.factories import make_message, make_order
from galaxy_core.testing.memory import MemoryNoteStore, MemoryOrderCatalogue, MemoryOrderQueue
from tests.unit.galaxy_core.services.gateway.world import OPERATOR, OWNER, GatewayWorld


@pytest.fixture(autouse=True)
def two_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is many in life takes too long here: of two or more, the newest is looked at."""
    monkeypatch.setattr(backlog, "ALL_UP_TO", 1)
    monkeypatch.setattr(backlog, "SOME", 1)


def dropped(order_id: str) -> Order:
    """An order that somebody dropped into the folder for a chat."""
    return make_order(id=order_id, channel="memory", chat_id=OWNER)


def shown(world: GatewayWorld) -> dict[str, OrderState]:
    """Orders whose status stands in the chat."""
    cards = [card.card for card in world.service.cards.values()]
    return {card.order_id: card.state for card in cards if isinstance(card, OrderStatus)}


async def test_newest_are_shown_and_what_runs(world: GatewayWorld) -> None:
    """One that waits deep in the queue is shown when it begins."""
    await world.lab.submit(dropped("a"), dropped("b"), dropped("c"))
    async with world.running(with_hermes=False):
        await world.until(lambda: bool(shown(world)))
        await world.clock.elapse(timedelta(minutes=2))
        assert shown(world) == {"c": OrderState.PENDING}
        assert await MemoryOrderQueue(world.lab.orders, "worker").claim() is not None
        await world.until(lambda: shown(world).get("a") is OrderState.CLAIMED)
        assert set(shown(world)) == {"a", "c"}


async def test_only_so_many_waiting_orders_are_shown(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway follows as many as it can; one that a person hands in is always one of them."""
    monkeypatch.setattr(watching, "WATCHED", 1)
    await world.lab.submit(dropped("a"))
    async with world.running(with_hermes=False):
        await world.until(lambda: "a" in shown(world))
        await world.lab.submit(dropped("b"))
        await world.clock.elapse(timedelta(minutes=2))
        assert set(shown(world)) == {"a"}
        world.say("do it")
        await world.until(lambda: len(shown(world)) == 2)
        assert "b" not in shown(world)


async def test_status_of_a_waiting_order_outlives_a_restart(world: GatewayWorld) -> None:
    """Newer ones do not make a restarted gateway take it for over: its button goes on working."""
    async with world.running(with_hermes=False):
        world.say("do it")
        await world.until(lambda: len(shown(world)) == 1)
    (order_id,) = shown(world)
    await world.lab.submit(make_order(id="b"), make_order(id="c"))
    async with world.running(with_hermes=False):
        await world.clock.elapse(timedelta(minutes=1))
        world.press("Cancel")
        await world.until(lambda: world.toasts() == ["Stopping …"])
    view = await world.lab.catalogue.get(OrderId(order_id))
    assert view is not None
    assert view.state is OrderState.CANCELLED


async def test_button_is_known_by_its_message(world: GatewayWorld) -> None:
    """It means its order before that is watched again; never one that is over."""
    await world.lab.submit(dropped("a"), dropped("b"))
    watcher = world.caduceus()._watcher
    assert await watcher.find(short_id(OrderId("a"))) is None, "nothing shows it"
    store = MemoryNoteStore(world.clock, world.notes)
    await store.add([Note(kind="card", key="order:lab:a", value={})])
    found = await watcher.find(short_id(OrderId("a")))
    assert found is not None
    assert (found[0].name, found[1].id) == ("lab", "a")
    found = await watcher.find(short_id(OrderId("b")))
    assert found is not None, "it is one of the newest"
    await world.lab.hermes().run(until_idle=True)
    assert await watcher.find(short_id(OrderId("a"))) is None


async def test_waiting_orders_are_read_once_for_all(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To tell each one its place, the folder is not read once for each."""
    monkeypatch.setattr(backlog, "ALL_UP_TO", 10)
    catalogue = world.lab.catalogue = Slow(world.lab.orders)
    await world.lab.submit(*map(dropped, "abcdefgh"))
    async with world.running(with_hermes=False):
        await world.until(lambda: len(shown(world)) == 8)
        # Each look is kept for ten seconds, and each order is looked at every three.
        before = catalogue.looks
        await world.clock.elapse(timedelta(minutes=1))
        assert catalogue.looks - before <= 8
    assert not catalogue.asked


async def test_limit_of_a_person_costs_no_look_for_each_message(
    world: GatewayWorld,
) -> None:
    """Where a look takes time it is kept; but nobody is refused for what is over by now."""
    catalogue = world.lab.catalogue = Slow(world.lab.orders)
    config = evolve(world.config, waiting_orders=3, orders_per_minute=100)
    limits, machine = PersonLimits(config, world.clock), world._machine("lab", world.lab)
    message = make_message(sender_id=OWNER)

    async def is_refused() -> bool:
        return await limits.why_not(message, machine) is not None

    await world.lab.submit(own("a"))
    assert [await is_refused() for _ in range(2)] == [False, False]
    assert catalogue.looks == 1
    await world.lab.submit(own("b"), own("c"))
    assert await is_refused()
    assert catalogue.looks == 2, "asked anew before anybody is refused"
    await world.lab.hermes().run(until_idle=True)
    assert [await is_refused() for _ in range(3)] == [False, False, False]
    assert catalogue.looks == 3
    assert await limits.why_not(make_message(sender_id=OPERATOR), machine) is None
    assert catalogue.looks == 3
    await world.clock.elapse(timedelta(seconds=11))
    assert await limits.why_not(make_message(sender_id=OPERATOR), machine) is None
    assert catalogue.looks == 4


async def test_limit_of_a_person_holds_for_machines_that_share_a_folder(
    world: GatewayWorld,
) -> None:
    """What was let through to the one counts for the other, whose orders are the same."""
    world.lab.catalogue = Slow(world.lab.orders)
    config = evolve(world.config, waiting_orders=3, orders_per_minute=100)
    limits = PersonLimits(config, world.clock)
    lab, message = world._machine("lab", world.lab), make_message(sender_id=OWNER)
    taken = 0
    for machine in (lab, evolve(lab, name="pc")) * 3:
        if await limits.why_not(message, machine) is None:
            await world.lab.submit(own(f"o{taken}"))
            taken += 1
    assert taken == 3


def own(order_id: str) -> Order:
    """An order of the owner's."""
    return make_order(id=order_id, channel="memory", person_id=OWNER)


class Slow(MemoryOrderCatalogue):
    """A folder in which a look takes a tenth of a second."""

    looks: int = 0
    asked: int = 0

    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        """See the port."""
        self.asked += 1
        return await super().get(order_id, only_enqueued=only_enqueued)

    async def list(
        self,
        *,
        states: frozenset[OrderState] | None = None,
        limit: int | None = 50,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        """See the port."""
        self.looks += 1
        assert isinstance(self.orders.clock, ManualClock)
        self.orders.clock.advance(timedelta(seconds=0.1))
        return await super().list(states=states, limit=limit, oldest_first=oldest_first)
