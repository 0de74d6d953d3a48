"""Completeness: whatever is taken away afterwards is missed by name, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from galaxy_core.domain.audit import AuditEvent, AuditType
from galaxy_core.domain.errors import ChatUnreachable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.message import Quote
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import JSONValue, Order
from galaxy_core.domain.proof import GapKind, ProofReport
from galaxy_core.services.proof import ACCEPTED, MessageProof, OrderProof, merged, reading, report
from galaxy_core.testing.factories import make_event, make_response
from galaxy_core.testing.memory import (
    AuditLines,
    MemoryAuditTrail,
    MemoryInventory,
    MemoryNoteStore,
)
from tests.unit.galaxy_core.services.gateway.world import (
    GROUP,
    OPERATOR,
    STRANGER,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def world(tmp_path: Path) -> GatewayWorld:
    """Give a day's work: three orders from a chat, answered and delivered."""
    world = GatewayWorld(tmp_path)
    async with world.running():
        for text in ("one", "two", "three"):
            world.say(text)
            await world.until(lambda: not world.lab.letters.waiting)
            await world.clock.elapse(timedelta(minutes=1))
        await world.until(lambda: len(world.lab.letters.sent) == 3)
    return world


async def prove(world: GatewayWorld) -> ProofReport:
    """Check everything."""
    lab = world.lab
    orders = OrderProof(
        lab.catalogue,
        lab.responses,
        MemoryInventory(lab.catalogue, lab.responses, lab.letters),
        MemoryAuditTrail(lab.lines),
    )
    notes = MemoryNoteStore(world.clock, world.notes)
    trails = [MemoryAuditTrail(world.lines), MemoryAuditTrail(lab.lines)]
    return merged([await MessageProof(notes, trails).check(), await orders.check()])


def ids(world: GatewayWorld) -> list[OrderId]:
    """The orders, oldest first."""
    return list(world.lab.responses.responses)


def drop_lines(lines: AuditLines, is_wanted: Callable[[AuditEvent], bool]) -> int:
    """Remove lines; how many."""
    kept = [record for record in lines.records if not is_wanted(record.event)]
    removed = len(lines.records) - len(kept)
    lines.records[:] = kept
    return removed


def kinds(found: ProofReport) -> list[tuple[GapKind, str]]:
    """What is missing, and of what."""
    return [(gap.kind, gap.subject) for gap in found.gaps]


async def test_a_day_without_loss(world: GatewayWorld) -> None:
    """Where everything has its next step, nothing is missing, and all was looked at."""
    found = await prove(world)
    assert kinds(found) == []
    assert (found.is_complete, found.orders, found.messages, found.older) == (True, 3, 3, 0)
    assert found.waiting_letters.count == found.waiting_orders.count == 0


async def test_each_thing_taken_away_is_missed(world: GatewayWorld) -> None:
    """An archived order, a response, a letter, a receipt: each is named with its order."""
    one, two, three = ids(world)
    lab = world.lab
    del lab.responses.responses[one]
    letters = lab.letters.sent
    del letters[f"hermes-{two}"]
    name = f"hermes-{three}"
    letters[name] = evolve(letters[name], receipts=())
    assert kinds(await prove(world)) == [
        (GapKind.RESPONSE_MISSING, one),
        (GapKind.LETTER_MISSING, two),
        (GapKind.RECEIPT_MISSING, three),
    ]


class WithoutOrder:
    """A catalogue from whose archive an order was taken."""

    def __init__(self, world: GatewayWorld, missing: OrderId) -> None:
        self._catalogue, self._missing = world.lab.catalogue, missing

    async def get(self, order_id: OrderId) -> OrderView | None:
        """See the port."""
        return None if order_id == self._missing else await self._catalogue.get(order_id)

    async def list(self, **options: object) -> list[OrderView]:
        """See the port."""
        found = await self._catalogue.list(**options)  # type: ignore[arg-type]
        return [view for view in found if view.order.id != self._missing]

    def unfinished(self) -> AsyncIterator[Sequence[OrderView]]:
        """See the port."""
        return self._catalogue.unfinished()


async def test_an_order_taken_from_the_archive(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ended order that is not archived is missed; so is its end, when that line goes too."""
    one = ids(world)[0]
    monkeypatch.setattr(world.lab, "catalogue", WithoutOrder(world, one))
    assert kinds(await prove(world)) == [(GapKind.ORDER_NOT_ARCHIVED, one)]
    assert drop_lines(
        world.lab.lines,
        lambda e: e.order_id == one and e.event_type == AuditType.ORDER_EXECUTED_SUCCESS,
    )
    assert kinds(await prove(world)) == [(GapKind.END_UNRECORDED, one)]
    del world.lab.responses.responses[one]
    found = await prove(world)
    assert kinds(found) == [(GapKind.ORDER_LOST, one)]
    assert f"order {one}" in found.gaps[0].sentence
    assert found.gaps[0].sequence is not None


@pytest.mark.parametrize(
    "event_type, gap",
    [
        (AuditType.ORDER_EXECUTED_SUCCESS, GapKind.END_UNRECORDED),
        (AuditType.LETTER_DELIVERED, GapKind.DELIVERY_UNRECORDED),
        (AuditType.ORDER_SUBMITTED, GapKind.MESSAGE_UNEXPLAINED),
    ],
)
async def test_a_line_taken_away(world: GatewayWorld, event_type: AuditType, gap: GapKind) -> None:
    """Where the step was taken and its line is gone, that is missed, though the chain were new."""
    two = ids(world)[1]
    removed = drop_lines(
        world.lab.lines, lambda e: e.order_id == two and e.event_type == event_type
    )
    assert removed == 1
    found = await prove(world)
    assert [kind for kind, _ in kinds(found)] == [gap]
    view = await world.lab.catalogue.get(two)
    assert view is not None
    key = view.order.idempotency_key
    assert found.gaps[0].subject == (key if gap is GapKind.MESSAGE_UNEXPLAINED else two)


@pytest.mark.parametrize(
    "event_type, gap",
    [
        (AuditType.ORDER_EXECUTED_SUCCESS, GapKind.ORDER_ENDED_TWICE),
        (AuditType.LETTER_DELIVERED, GapKind.DELIVERED_TWICE),
    ],
)
async def test_what_happened_twice(
    world: GatewayWorld, event_type: AuditType, gap: GapKind
) -> None:
    """A second end or delivery is a fault, unless the line says that it only repeats the first."""
    one = ids(world)[0]
    events = [record.event for record in world.lab.lines.records]
    known = next(e for e in events if e.order_id == one and e.event_type == event_type)
    world.lab.lines.add(evolve(known, data={**known.data, "is_repeated": True}))
    assert kinds(await prove(world)) == []
    world.lab.lines.add(known)
    assert kinds(await prove(world)) == [(gap, one)]


async def test_one_message_that_became_two_orders(world: GatewayWorld) -> None:
    """The key of a message belongs to one order only, unless it was for several machines."""
    events = [record.event for record in world.lab.lines.records]
    known = next(e for e in events if e.event_type == AuditType.ORDER_SUBMITTED)
    world.lab.lines.add(evolve(known, data={**known.data, "is_repeated": True}))
    assert (await prove(world)).is_complete
    world.lab.lines.add(evolve(known, order_id=str(ids(world)[1])))
    found = await prove(world)
    assert kinds(found) == [(GapKind.MESSAGE_ORDERED_TWICE, known.data["key"])]
    assert str(known.order_id) in found.gaps[0].sentence


async def test_what_waits_is_no_fault(tmp_path: Path) -> None:
    """Orders without a Hermes and letters without a courier are listed, not missed."""
    world = GatewayWorld(tmp_path)
    async with world.running(with_hermes=False):
        world.say("wait for me")
        await world.until(lambda: bool(world.lab.lines.records))
    found = await prove(world)
    assert (found.is_complete, found.waiting_orders.count, found.messages) == (True, 1, 1)
    async with world.lab.running():
        await world.until(lambda: bool(world.lab.letters.waiting))
    found = await prove(world)
    assert found.is_complete
    assert (found.orders, found.waiting_letters.first) == (1, tuple(ids(world)))


async def test_letters_that_nobody_can_get(world: GatewayWorld) -> None:
    """A letter that was set aside, on record, is told apart; without its line it is a fault."""
    one = ids(world)[0]
    box, name = world.lab.letters, f"hermes-{one}"
    drop_lines(
        world.lab.lines,
        lambda e: e.order_id == one and e.event_type == AuditType.LETTER_DELIVERED,
    )
    box.undeliverable[name] = (
        evolve(box.sent.pop(name), receipts=()),
        str(ChatUnreachable("gone")),
    )
    assert kinds(await prove(world)) == [(GapKind.DELIVERY_UNRECORDED, one)]
    world.lab.lines.add(
        make_event(event_type=AuditType.LETTER_UNDELIVERABLE, order_id=one, data={"letter": name})
    )
    found = await prove(world)
    assert (found.is_complete, found.undeliverable.first) == (True, (one,))


async def test_orders_of_before_the_trail(world: GatewayWorld) -> None:
    """What ended before the first line is counted apart; what ended after is missed."""
    start = world.lab.lines.records[0].event.timestamp
    old = make_response(order_id=OrderId("old"), finished_at=start - timedelta(days=1))
    world.lab.responses.responses[old.order_id] = old
    found = await prove(world)
    assert (found.is_complete, found.older) == (True, 1)
    late = evolve(old, order_id=OrderId("late"), finished_at=start + timedelta(minutes=1))
    world.lab.responses.responses[late.order_id] = late
    assert kinds(await prove(world)) == [(GapKind.END_UNRECORDED, "late")]


async def test_what_was_cleaned_up_is_not_missed(world: GatewayWorld) -> None:
    """Files that a person had removed, on record, are no fault; younger ones are."""
    one, two, _ = ids(world)
    for order_id in (one, two):
        del world.lab.responses.responses[order_id]
        del world.lab.letters.sent[f"hermes-{order_id}"]
    view = await world.lab.catalogue.get(one)
    assert view is not None
    assert view.ending is not None
    before = (view.ending.finished_at + timedelta(seconds=30)).isoformat()
    for kind in ("responses", "letters"):
        world.lab.lines.add(
            make_event(event_type=AuditType.CLEANED_UP, data={"kind": kind, "before": before})
        )
    assert kinds(await prove(world)) == [
        (GapKind.RESPONSE_MISSING, two),
        (GapKind.LETTER_MISSING, two),
    ]


async def test_a_removal_explains_nothing_that_came_after_it(world: GatewayWorld) -> None:
    """It was done while the clock was far ahead: what gets lost since is missed all the same."""
    before = (world.clock.now() + timedelta(days=200)).isoformat()
    for kind in ("orders", "responses", "letters"):
        cleaning = make_event(
            event_type=AuditType.CLEANED_UP, data={"kind": kind, "before": before}
        )
        world.lab.lines.add(cleaning)
    late = OrderId("late")
    for event_type in (AuditType.ORDER_SUBMITTED, AuditType.ORDER_EXECUTED_SUCCESS):
        event = make_event(event_type=event_type, order_id=late, timestamp=world.clock.now())
        world.lab.lines.add(event)
    assert set(kinds(await prove(world))) == {
        (GapKind.ORDER_NOT_ARCHIVED, late),
        (GapKind.RESPONSE_MISSING, late),
        (GapKind.LETTER_MISSING, late),
    }


async def test_a_delivery_whose_order_went_with_the_trails_beginning(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts that were removed end somewhere between an order's end and its delivery."""
    one = ids(world)[0]
    monkeypatch.setattr(world.lab, "catalogue", WithoutOrder(world, one))
    del world.lab.responses.responses[one]
    is_delivery = AuditType.LETTER_DELIVERED
    for lines in (world.lab.lines, world.lines):
        drop_lines(lines, lambda e: e.order_id == one and e.event_type != is_delivery)
    assert (GapKind.ORDER_LOST, one) in kinds(await prove(world))
    before = world.clock.now().isoformat()
    data: dict[str, JSONValue] = {"kind": "audit", "before": before}
    world.lab.lines.add(make_event(event_type=AuditType.CLEANED_UP, data=data))
    found = await prove(world)
    assert (GapKind.ORDER_LOST, one) not in kinds(found)
    assert found.older == 1


async def test_messages_of_before_a_trails_removed_beginning(world: GatewayWorld) -> None:
    """What became of them was told in a machine's trail, whose beginning is gone, on record."""
    one = ids(world)[0]
    assert drop_lines(world.lab.lines, lambda e: e.timestamp <= told_at(world, one))
    assert GapKind.MESSAGE_UNEXPLAINED in {kind for kind, _ in kinds(await prove(world))}
    data: dict[str, JSONValue] = {"kind": "audit", "before": world.clock.now().isoformat()}
    world.lab.lines.add(make_event(event_type=AuditType.CLEANED_UP, data=data))
    found = await prove(world)
    assert GapKind.MESSAGE_UNEXPLAINED not in {kind for kind, _ in kinds(found)}
    assert found.messages == 2


def told_at(world: GatewayWorld, order_id: OrderId) -> datetime:
    """When the trail first spoke of an order."""
    lines = [record.event for record in world.lab.lines.records]
    return next(event.timestamp for event in lines if event.order_id == order_id)


async def test_in_several_shares(world: GatewayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more orders than are kept in mind at a time the trail is read again, to the same end."""
    one = ids(world)[0]
    del world.lab.responses.responses[one]
    monkeypatch.setattr(reading, "SHARE", 1)
    monkeypatch.setattr(reading, "PIECE", 2)
    found = await prove(world)
    assert kinds(found) == [(GapKind.RESPONSE_MISSING, one)]
    assert (found.orders, found.messages) == (3, 3)
    monkeypatch.setattr(report, "MAX_GAPS", 0)
    assert (await prove(world)).gap_count == 1


async def test_every_accepted_message_leaves_a_line(tmp_path: Path) -> None:
    """Whatever people write and however it is met: what is confirmed is explained by a line."""
    world = GatewayWorld(tmp_path)
    async with world.running():
        first = world.say("an order")
        edit = evolve(first, is_edit=True)
        spoken = [
            first,
            world.say("/help"),
            world.say("/nonsense"),
            world.say("/queue", by=VIEWER),
            world.say("/cancel", by=VIEWER),
            world.say("not allowed", by=VIEWER),
            world.say("/order all do it", by=OPERATOR),
            world.say("who is there?", by=STRANGER),
            world.say("/start", by=STRANGER),
            world.say("/start", by=STRANGER),
            world.say("to the bot", chat=GROUP),
            world.say("x" * 20_000),
            world.say("too old", sent_at=world.clock.now() - timedelta(days=3)),
            world.say("", quotes=(Quote(text="somebody else's"),)),
            evolve(edit, key="edit-1", text="another order"),
            evolve(edit, key="edit-2", text="/help"),
            evolve(edit, key="edit-3", message_id="unknown", text="what?"),
        ]
        for message in spoken[-3:]:
            world.service.push(message)
        world.say("gossip among members", chat=GROUP, is_addressed=False)
        for _ in range(40):
            await world.clock.elapse(timedelta(seconds=1))
    known = await MemoryNoteStore(world.clock, world.notes).closed(ACCEPTED)
    assert {each.key for each in known} == {message.key for message in spoken}
    found = await prove(world)
    assert kinds(found) == []
    assert found.messages == len(spoken)


def test_named_orders_are_orders() -> None:
    """The letter of an order with a very long id is found under its shortened name."""
    from galaxy_core.services.proof.stories import letter_of  # noqa: PLC0415

    long = Order(id=OrderId("x" * 180), payload="x").id
    assert letter_of("a") == "hermes-a"
    assert len(letter_of(long).encode()) <= 180
