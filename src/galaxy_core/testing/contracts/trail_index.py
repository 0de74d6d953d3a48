"""The contract of `TrailIndex`."""

# ruff: noqa: ANN401 - data is whatever a line holds

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import pytest

from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import Slot
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.trail_index import AuditSearch, TrailIndex
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import NASTY_TEXTS, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.contracts.trail_index_forgetting import TrailIndexForgetting

_TYPES = {
    Outcome.SUCCEEDED: "order_executed_success",
    Outcome.FAILED: "order_executed_failure",
    Outcome.CANCELLED: "order_cancelled",
    Outcome.EXPIRED: "order_expired",
    Outcome.DEAD: "order_dead_lettered",
}


def line(second: float, event_type: str, order_id: str | None = None, **data: Any) -> AuditEvent:
    """A line that was written so many seconds after the start."""
    return AuditEvent(
        timestamp=START + timedelta(seconds=second),
        event_type=event_type,
        severity=data.pop("severity", AuditSeverity.INFO),
        order_id=order_id,
        machine=data.pop("machine", "lab"),
        data=data,
    )


def end(second: float, order_id: str, outcome: Outcome, **data: Any) -> AuditEvent:
    """The line about an order's end."""
    return line(second, _TYPES[outcome], order_id, outcome=outcome.value, **data)


def delivery(second: float, order_id: str, **data: Any) -> AuditEvent:
    """The line about the delivery of its answer."""
    return line(second, "letter_delivered", order_id, **{"letter": f"hermes-{order_id}", **data})


async def feed(index: TrailIndex, *events: AuditEvent, trail: str = "t", mark: str = "m") -> None:
    """Add lines as the one who feeds."""
    async with index.feeder() as feeder:
        assert feeder is not None
        await feeder.add(trail, events, mark)


class TrailIndexContract(TrailIndexForgetting):
    """Everything that an index of trails owes those who ask it."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_store_is_not_an_empty_one(self, harness: Harness[TrailIndex]) -> None:
        """Every method raises `StorageUnavailable`: figures of nothing would be wrong ones."""
        index = await harness.open()
        await feed(index, end(1, "a", Outcome.SUCCEEDED))
        async with harness.refusing():
            calls: tuple[Callable[[], Awaitable[object]], ...] = (
                index.totals,
                partial(index.of_order, OrderId("a")),
                index.ended,
                partial(index.search, AuditSearch()),
                partial(index.slots, START, timedelta(hours=1), 2),
                partial(feed, index, end(2, "b", Outcome.SUCCEEDED)),
            )
            for call in calls:
                with pytest.raises(StorageUnavailable):
                    await call()
        assert list(await index.ended()) == ["a"]
        await feed(index, end(2, "b", Outcome.SUCCEEDED))
        assert list(await index.ended()) == ["b", "a"]

    # ---- feeding

    async def test_empty_index_answers(self, harness: Harness[TrailIndex]) -> None:
        """An index that nobody has fed yet knows nothing, which is no error."""
        index = await harness.open()
        totals = await index.totals()
        assert (dict(totals.ended), dict(totals.earlier), dict(totals.events)) == ({}, {}, {})
        assert set(totals.run_seconds.counts) == {0}
        assert list(await index.of_order(OrderId("a"))) == []
        assert list(await index.ended()) == []
        page = await index.search(AuditSearch())
        assert (page.events, page.cursor) == ((), None)
        hour = timedelta(hours=1)
        assert list(await index.slots(START, hour, 2)) == [
            Slot(begins=START),
            Slot(begins=START + hour),
        ]

    async def test_one_feeds_at_a_time(self, harness: Harness[TrailIndex]) -> None:
        """Lines are counted once, whoever else would feed; who comes later goes on at the mark."""
        first, second = await harness.open(), await harness.open()
        async with first.feeder() as feeder:
            assert feeder is not None
            assert dict(await feeder.marks()) == {}
            async with second.feeder() as other:
                assert other is None
            await feeder.add("t", [line(0, "x")], "1")
            await feeder.add("u", [], "7")
        async with second.feeder() as feeder:
            assert feeder is not None
            assert dict(await feeder.marks()) == {"t": "1", "u": "7"}
            await feeder.add("t", [line(1, "x")], "2")
            assert dict(await feeder.marks()) == {"t": "2", "u": "7"}
        assert (await first.totals()).events == {"x": 2}

    async def test_begun_anew_it_knows_nothing(self, harness: Harness[TrailIndex]) -> None:
        """When a trail was replaced, nothing that was counted before may stay."""
        index = await harness.open()
        await feed(index, end(0, "a", Outcome.FAILED, elapsed_s=1), delivery(1, "a"))
        async with index.feeder() as feeder:
            assert feeder is not None
            await feeder.add_earlier("lab", {OrderState.SUCCEEDED: 3})
            await feeder.begin_anew()
            assert dict(await feeder.marks()) == {}
            assert not await feeder.has_earlier("lab")
            await feeder.add("t", [end(5, "b", Outcome.SUCCEEDED)], "1")
        totals = await index.totals()
        assert dict(totals.ended) == {("lab", OrderState.SUCCEEDED): 1}
        assert (dict(totals.earlier), totals.events) == ({}, {"order_executed_success": 1})
        assert totals.run_seconds.counts[-1] == totals.delivery_seconds.counts[-1] == 0
        assert list(await index.ended()) == ["b"]
        assert list(await index.of_order(OrderId("a"))) == []

    @requires("survives_restart")
    async def test_what_was_added_survives_a_restart(self, harness: Harness[TrailIndex]) -> None:
        """Nobody reads the trails again because a process was restarted."""
        await feed(await harness.open(), end(0, "a", Outcome.DEAD), mark="9")
        await harness.restart()
        index = await harness.open()
        assert dict((await index.totals()).ended) == {("lab", OrderState.DEAD): 1}
        async with index.feeder() as feeder:
            assert feeder is not None
            assert dict(await feeder.marks()) == {"t": "9"}

    # ---- counting

    async def test_ends_are_counted_by_machine_and_state(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """Every outcome counts as its state, on the machine that wrote it down."""
        index = await harness.open()
        await feed(
            index,
            *(end(0, f"{o}", o) for o in Outcome),
            end(1, "more", Outcome.FAILED, machine="other"),
            line(2, "order_given_back", "waits"),
        )
        totals = await index.totals()
        assert dict(totals.ended) == {
            **{("lab", outcome.state): 1 for outcome in Outcome},
            ("other", OrderState.FAILED): 1,
        }
        assert totals.events["order_executed_failure"] == 2
        assert totals.events["order_given_back"] == 1

    async def test_end_told_twice_counts_once(self, harness: Harness[TrailIndex]) -> None:
        """A crash may have a line written again: figures go by orders, the first line stands."""
        index = await harness.open()
        again = end(9, "a", Outcome.FAILED, elapsed_s=50.0, tokens=70, is_repeated=True)
        await feed(index, end(0, "a", Outcome.SUCCEEDED, elapsed_s=1.5, tokens=7), again)
        await feed(index, again, delivery(10, "a"), delivery(70, "a", is_repeated=True))
        totals = await index.totals()
        assert dict(totals.ended) == {("lab", OrderState.SUCCEEDED): 1}
        assert (totals.run_seconds.counts[-1], totals.run_seconds.total_seconds) == (1, 1.5)
        assert totals.delivery_seconds.total_seconds == 10
        assert totals.events["order_executed_failure"] == 2
        (slot,) = await index.slots(START, timedelta(hours=1), 1)
        assert (dict(slot.ended), slot.tokens) == ({Outcome.SUCCEEDED: 1}, 7)

    async def test_one_id_in_two_trails_is_two_orders(self, harness: Harness[TrailIndex]) -> None:
        """Machines elsewhere name their orders as they like."""
        index = await harness.open()
        await feed(index, end(0, "a", Outcome.SUCCEEDED), trail="here")
        await feed(index, end(1, "a", Outcome.FAILED, machine="other"), trail="there")
        await feed(index, delivery(4, "a"), trail="there", mark="2")
        totals = await index.totals()
        assert sum(totals.ended.values()) == 2
        assert totals.delivery_seconds.total_seconds == 3
        assert len(await index.of_order(OrderId("a"))) == 3

    async def test_earlier_orders_are_counted_apart(self, harness: Harness[TrailIndex]) -> None:
        """Orders from before the trail: the newest word about a machine stands."""
        index = await harness.open()
        async with index.feeder() as feeder:
            assert feeder is not None
            assert not await feeder.has_earlier("lab")
            await feeder.add_earlier("lab", {OrderState.FAILED: 9, OrderState.DEAD: 1})
            await feeder.add_earlier("lab", {OrderState.SUCCEEDED: 5})
            await feeder.add_earlier("empty", {})
            assert await feeder.has_earlier("lab")
            assert await feeder.has_earlier("empty")
        totals = await index.totals()
        assert dict(totals.earlier) == {("lab", OrderState.SUCCEEDED): 5}
        assert dict(totals.ended) == {}

    async def test_histograms_are_cumulative(self, harness: Harness[TrailIndex]) -> None:
        """A duration counts in every bucket whose bound is not below it, as Prometheus wants."""
        index = await harness.open()
        seconds = (0.5, 1.0, 1.5, 5000.0)
        await feed(
            index, *(end(i, f"{i}", Outcome.FAILED, elapsed_s=s) for i, s in enumerate(seconds))
        )
        await feed(index, end(9, "never ran", Outcome.EXPIRED))
        run = (await index.totals()).run_seconds
        found = dict(zip(run.bounds, run.counts, strict=False))
        assert (found[1.0], found[2.0], found[3600.0], run.counts[-1]) == (2, 3, 3, 4)
        assert run.total_seconds == sum(seconds)

    async def test_delivery_is_timed_in_either_order(self, harness: Harness[TrailIndex]) -> None:
        """The courier may be faster than the trail; and only the answer's letter counts."""
        index = await harness.open()
        await feed(index, delivery(1, "early"), end(1.2, "early", Outcome.SUCCEEDED))
        await feed(index, end(2, "late", Outcome.SUCCEEDED), delivery(9, "late", letter="ask-1"))
        assert (await index.totals()).delivery_seconds.counts[-1] == 1
        await feed(index, delivery(4, "late"))
        times = (await index.totals()).delivery_seconds
        assert (times.counts[-1], times.total_seconds) == (2, 2.0)

    async def test_slots_hold_what_ended_in_them(self, harness: Harness[TrailIndex]) -> None:
        """A piece of time begins with its first moment and ends before the next one's."""
        index = await harness.open()
        runs = [end(60 + i, f"r{i}", Outcome.SUCCEEDED, elapsed_s=float(i)) for i in range(1, 21)]
        await feed(
            index,
            end(-0.001, "before", Outcome.FAILED),
            end(0, "first", Outcome.FAILED, tokens=5, cost_usd=0.5),
            end(59.999, "last", Outcome.DEAD, tokens=2, cost_usd=0.25, elapsed_s=3.5),
            *runs,
            end(180, "after", Outcome.FAILED),
        )
        minute = timedelta(minutes=1)
        assert list(await index.slots(START, minute, 3)) == [
            Slot(
                begins=START,
                ended={Outcome.FAILED: 1, Outcome.DEAD: 1},
                run_seconds_p50=3.5,
                run_seconds_p95=3.5,
                tokens=7,
                cost_usd=0.75,
            ),
            Slot(
                begins=START + minute,
                ended={Outcome.SUCCEEDED: 20},
                run_seconds_p50=10.0,
                run_seconds_p95=19.0,
            ),
            Slot(begins=START + 2 * minute),
        ]

    # ---- finding

    async def test_lines_of_an_order_come_from_every_trail(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """The gateway's lines and the machine's, oldest first, whichever was read first."""
        index = await harness.open()
        machine = [line(1, "order_received", "a"), end(3, "a", Outcome.SUCCEEDED)]
        gateway = [line(0, "order_submitted", "a", machine="home"), line(2, "other", "b")]
        await feed(index, *machine, trail="machine")
        await feed(index, *gateway, delivery(4, "a", machine="home"), trail="home")
        found = await index.of_order(OrderId("a"))
        assert [event.event_type for event in found] == [
            *("order_submitted", "order_received"),
            *("order_executed_success", "letter_delivered"),
        ]

    async def test_every_field_comes_back(self, harness: Harness[TrailIndex]) -> None:
        """A line is shown as it was written."""
        index = await harness.open()
        event = AuditEvent(
            timestamp=START + timedelta(microseconds=7),
            event_type="of_our_own",
            severity=AuditSeverity.CRITICAL,
            order_id="a",
            machine=None,
            data={"attempt": 2, "deep": {"list": [1, None, "x"]}, "cost": 0.5},
        )
        await feed(index, event)
        (found,) = await index.of_order(OrderId("a"))
        assert found == event
        assert dict(found.data) == dict(event.data)

    async def test_nasty_texts_are_taken(self, harness: Harness[TrailIndex]) -> None:
        """No line, whatever it holds, keeps the others out of the index."""
        index = await harness.open()
        texts = [text[:3000] for text in NASTY_TEXTS.values()]
        await feed(index, *(line(0, t or "x", t or None, machine=t, reason=t) for t in texts))
        assert sum((await index.totals()).events.values()) == len(texts)
        assert len((await index.search(AuditSearch())).events) == len(texts)

    async def test_ended_orders_come_newest_first(self, harness: Harness[TrailIndex]) -> None:
        """By their end; machines and states restrict, pages follow each other."""
        index = await harness.open()
        outcomes = [Outcome.SUCCEEDED, Outcome.FAILED, Outcome.DEAD]
        events = [
            end(n, f"o{n}", outcomes[n % 3], machine="lab" if n < 4 else "pc") for n in range(6)
        ]
        await feed(index, *reversed(events), delivery(9, "not ended"))
        assert list(await index.ended()) == ["o5", "o4", "o3", "o2", "o1", "o0"]
        assert list(await index.ended(limit=2, skip=1)) == ["o4", "o3"]
        assert list(await index.ended(machines=frozenset({"pc", "?"}))) == ["o5", "o4"]
        bad = frozenset({OrderState.FAILED, OrderState.DEAD})
        assert list(await index.ended(states=bad)) == ["o5", "o4", "o2", "o1"]
        assert list(await index.ended(machines=frozenset({"lab"}), states=bad)) == ["o2", "o1"]
        assert list(await index.ended(states=frozenset({OrderState.SUCCEEDED}))) == ["o3", "o0"]

    @pytest.mark.parametrize(
        ("wanted", "expected"),
        [
            (AuditSearch(), "543210"),
            (AuditSearch(event_type="odd"), "531"),
            (AuditSearch(event_type="never"), ""),
            (AuditSearch(severity=AuditSeverity.ERROR), "30"),
            (AuditSearch(severity=AuditSeverity.INFO), "5421"),
            (AuditSearch(machine="pc"), "54"),
            (AuditSearch(since=START + timedelta(seconds=3)), "543"),
            (AuditSearch(text="PROVIDER"), "42"),
            (AuditSearch(text="o3"), "3"),
            (AuditSearch(text="100%"), "5"),
            (AuditSearch(text="_"), "1"),
            (AuditSearch(text="\\"), ""),
            (AuditSearch(text="'; DROP TABLE lines; --"), ""),
            (AuditSearch(text="provider", machine="pc", event_type="even"), "4"),
        ],
    )
    async def test_search_finds_what_it_names(
        self, harness: Harness[TrailIndex], wanted: AuditSearch, expected: str
    ) -> None:
        """Each restriction holds, together too; what is searched for has no wild cards."""
        index = await harness.open()
        words = ["plain", "a_b", "Provider is down", "plain", "the provider again", "100% sure"]
        events = [
            line(
                number,
                "odd" if number % 2 else "even",
                f"o{number}",
                machine="pc" if number > 3 else "lab",
                severity=AuditSeverity.INFO if number % 3 else AuditSeverity.ERROR,
                why=word,
            )
            for number, word in enumerate(words)
        ]
        await feed(index, *events)
        found = (await index.search(wanted)).events
        assert "".join((event.order_id or "")[1:] for _, event in found) == expected
        assert all(machine == event.machine for machine, event in found)

    async def test_pages_follow_each_other(self, harness: Harness[TrailIndex]) -> None:
        """Every match comes once, lines of the same moment too, until there is no cursor."""
        index = await harness.open()
        numbers = [str(number) for number in range(7)]
        await feed(index, *(line(int(n) // 3, "x", n) for n in numbers), line(99, "y", "not"))
        seen: list[str] = []
        cursor, pages = None, 0
        while pages == 0 or cursor is not None:
            page = await index.search(AuditSearch(event_type="x"), cursor=cursor, limit=3)
            seen += [event.order_id or "" for _, event in page.events]
            cursor, pages = page.cursor, pages + 1
        assert sorted(seen) == numbers
        assert _is_newest_first(seen)

    async def test_unreadable_cursor_begins_at_the_newest(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """An address that somebody edited shows the first page, not an error."""
        index = await harness.open()
        await feed(index, line(0, "x", "a"))
        for cursor in ("", "nonsense", "1.2.3", "' OR 1"):
            assert len((await index.search(AuditSearch(), cursor=cursor)).events) == 1


def _is_newest_first(order_ids: Sequence[str]) -> bool:
    moments = [int(order_id) // 3 for order_id in order_ids]
    return moments == sorted(moments, reverse=True)
