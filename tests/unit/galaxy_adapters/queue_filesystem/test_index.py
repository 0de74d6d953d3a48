"""What a look for the next order costs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from galaxy_adapters.queue_filesystem._index import Entry, Index
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order, Priority

NOON = datetime(2026, 2, 2, 12, tzinfo=UTC)
WAITING = 500


def index() -> Index:
    """An index of a machine that serves nobody else's orders."""
    return Index("lab", frozenset({"lab"}), frozenset(), has_ended=lambda _id: False)


def add(to: Index, number: int, priority: Priority = Priority.NORMAL) -> Entry:
    """One more order of the same conversation."""
    order = Order(id=OrderId(f"o{number}"), payload="x", session="talk", priority=priority)
    return to.add(f"o{number}.json", order, (number, 1, number))


def test_orders_that_come_in_behind_others_leave_nothing_to_clear_away() -> None:
    """A conversation has one place however many of its orders wait: claims cost the same."""
    waiting = index()
    for number in range(WAITING):
        add(waiting, number)
    assert len(waiting._ready) == 1
    first = waiting.next(0.0, NOON)
    assert first is not None
    assert first.order_id == "o0"


def test_an_urgent_order_behind_others_moves_its_conversation_ahead() -> None:
    """The place is taken anew when an order that comes in changes it."""
    waiting = index()
    other = Order(id=OrderId("other"), payload="x", session="other")
    waiting.add("other.json", other, (0, 1, 1))
    add(waiting, 1)
    add(waiting, 2, Priority.URGENT)
    first = waiting.next(0.0, NOON)
    assert first is not None
    assert first.order_id == "o1"


def test_a_conversation_that_was_let_go_has_its_place_again() -> None:
    """Holding and letting go again, and delays that are over, leave the order to be found."""
    waiting = index()
    head = add(waiting, 1)
    lane = waiting.hold(head)
    assert waiting.next(0.0, NOON) is None
    waiting.let_go(lane)
    back = add(waiting, 1)
    assert waiting.next(0.0, NOON) is back
    waiting.delay(back, until=5.0, given_back_at=NOON, known_wish=None)
    add(waiting, 2)
    assert waiting.next(4.9, NOON) is None
    assert waiting.next(5.0, NOON) is back
    assert waiting.next(5.0, NOON) is back


@pytest.mark.parametrize("kind", ["ready", "delayed", "timed"])
def test_who_never_asks_for_the_next_one_does_not_pile_up(kind: str) -> None:
    """A gateway hands orders in and sees them leave, for years: nothing of them stays."""
    orders = index()
    later = NOON + timedelta(days=1) if kind == "timed" else None
    for number in range(5_000):
        name = f"order-{number}"
        order = Order(id=OrderId(name), payload="x", session=name, not_before=later)
        entry = orders.add(f"{name}.json", order, (number, 1, number))
        if kind == "delayed":
            orders.delay(entry, until=1e9, given_back_at=NOON, known_wish=None)
        orders.remove(entry.name)
    assert len(orders._ready) + len(orders._delayed) + len(orders._timed) < 200
    assert not orders._lanes
    left = [add(orders, number) for number in range(3)]
    assert orders.next(0.0, NOON) is left[0]
