"""The contract of `AuditSink` and `AuditTrail`, which are two ends of one thing."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar

import anyio
import pytest
from attrs import frozen

from galaxy_core.domain.audit import AuditEvent, AuditQuery, AuditSeverity, TrailPiece
from galaxy_core.domain.errors import StorageUnavailable, TrailReplaced
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.testing.clock import START, settle
from galaxy_core.testing.contracts.contract import (
    NASTY_TEXTS,
    PROMPT_SECONDS,
    Contract,
    requires,
)
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.factories import make_event

ALL = AuditQuery(limit=None)


@frozen(kw_only=True)
class AuditFeatures(StoreFeatures):
    """What a trail can do beyond the bare contract."""

    can_be_tampered_with: bool = True
    """The harness can change and remove lines behind the adapter's back."""


class AuditHarness(Harness[AuditSink]):
    """An empty trail; `open` gives a writer."""

    @abstractmethod
    async def trail(self) -> AuditTrail:
        """A reader."""

    async def change_line(self, number: int) -> None:
        """Edit the line with this 1-based number, so that it still can be read."""
        raise NotImplementedError

    async def remove_line(self, number: int) -> None:
        """Take the line with this 1-based number out."""
        raise NotImplementedError

    async def swap_lines(self, first: int, second: int) -> None:
        """Put two lines in each other's place."""
        raise NotImplementedError


class AuditContract(Contract):
    """Everything that an audit trail owes those who rely on it."""

    features: ClassVar[AuditFeatures] = AuditFeatures()

    @requires("can_refuse")
    async def test_refusing_trail_goes_on_whole(self, harness: AuditHarness) -> None:
        """What could not be recorded is said so; the chain has no fault for that."""
        sink = await harness.open()
        await sink.record([make_event()])
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await sink.record([make_event(), make_event()])
        await sink.record([make_event()])
        report = await (await harness.trail()).verify()
        assert report.is_intact, report.faults
        assert 2 <= report.lines <= 4

    # ---- tampering

    @requires("can_be_tampered_with")
    @pytest.mark.parametrize("number", [1, 3, 5])
    async def test_changed_line_is_found(self, harness: AuditHarness, number: int) -> None:
        """A line that was edited is named."""
        await self._write_five(harness)
        await harness.change_line(number)
        report = await (await harness.trail()).verify()
        assert not report.is_intact
        assert len(report.faults) >= 1

    @requires("can_be_tampered_with")
    @pytest.mark.parametrize("number", [1, 3])
    async def test_removed_line_is_found(self, harness: AuditHarness, number: int) -> None:
        """A line that was taken out leaves a gap."""
        await self._write_five(harness)
        await harness.remove_line(number)
        assert not (await (await harness.trail()).verify()).is_intact

    @requires("can_be_tampered_with")
    async def test_removed_end_shows_in_the_head(self, harness: AuditHarness) -> None:
        """A cut-off end is found by the head that was written down elsewhere."""
        await self._write_five(harness)
        before = await (await harness.trail()).verify()
        await harness.remove_line(5)
        after = await (await harness.trail()).verify()
        assert (before.lines, after.lines) == (5, 4)
        assert before.head != after.head

    @requires("can_be_tampered_with")
    async def test_moved_line_is_found(self, harness: AuditHarness) -> None:
        """Lines in another order are not the same trail."""
        await self._write_five(harness)
        await harness.swap_lines(2, 4)
        assert not (await (await harness.trail()).verify()).is_intact

    @requires("can_be_tampered_with")
    async def test_fault_does_not_stop_the_writers(self, harness: AuditHarness) -> None:
        """A trail that somebody damaged goes on being written, and stays known as damaged."""
        await self._write_five(harness)
        await harness.change_line(2)
        sink = await harness.open()
        await sink.record([make_event(order_id="new")])
        trail = await harness.trail()
        assert [r.event.order_id for r in await trail.read(AuditQuery(limit=1))] == ["new"]
        assert not (await trail.verify()).is_intact

    # ---- writing

    async def test_chain_of_one_writer_is_intact(self, harness: AuditHarness) -> None:
        """What nobody touched is whole; its head is the newest line's digest."""
        await self._write_five(harness)
        trail = await harness.trail()
        report = await trail.verify()
        assert (report.is_intact, report.lines, report.faults) == (True, 5, ())
        records = await trail.read(ALL)
        assert [record.sequence for record in records] == [1, 2, 3, 4, 5]
        assert len({record.digest for record in records}) == 5
        assert report.head == records[-1].digest

    async def test_empty_trail_is_intact(self, harness: AuditHarness) -> None:
        """A trail with nothing in it is no fault."""
        trail = await harness.trail()
        assert list(await trail.read(ALL)) == []
        report = await trail.verify()
        assert (report.is_intact, report.lines) == (True, 0)

    async def test_nothing_to_record_is_fine(self, harness: AuditHarness) -> None:
        """An empty list of events writes no line."""
        await (await harness.open()).record([])
        assert list(await (await harness.trail()).read(ALL)) == []

    async def test_writers_at_once_make_one_chain(self, harness: AuditHarness) -> None:
        """Tasks and processes that write at the same time chain to each other, groups unbroken."""
        sinks = [await harness.open()]
        if self.features.has_several_processes:
            sinks += [await harness.open(), await harness.open()]

        async def write(number: int) -> None:
            events = [make_event(order_id=f"{number}-{line}") for line in range(3)]
            await sinks[number % len(sinks)].record(events)

        async with anyio.create_task_group() as group:
            for number in range(12):
                group.start_soon(write, number, name="write")
        trail = await harness.trail()
        report = await trail.verify()
        assert (report.is_intact, report.lines) == (True, 36)
        ids = [record.event.order_id or "" for record in await trail.read(ALL)]
        for number in range(12):
            mine = [order_id for order_id in ids if order_id.startswith(f"{number}-")]
            assert mine == [f"{number}-{line}" for line in range(3)]

    async def test_every_field_comes_back(self, harness: AuditHarness) -> None:
        """A line is read as it was recorded, its further keys included."""
        event = AuditEvent(
            timestamp=harness.now() + timedelta(microseconds=5),
            event_type="something_of_our_own",
            severity=AuditSeverity.CRITICAL,
            order_id="a",
            machine="test",
            data={"attempt": 2, "deep": {"list": [1, None, "x"]}, "cost": 0.5},
        )
        await (await harness.open()).record([event])
        (record,) = await (await harness.trail()).read(ALL)
        assert record.event == event
        assert dict(record.event.data) == dict(event.data)

    async def test_nasty_texts_break_no_line(self, harness: AuditHarness) -> None:
        """Whatever a reason or a name holds, it stays on its line and comes back."""
        texts = {name: text[:2000] for name, text in NASTY_TEXTS.items()}
        sink = await harness.open()
        for text in texts.values():
            await sink.record([make_event(data={"reason": text})])
        trail = await harness.trail()
        assert [r.event.data["reason"] for r in await trail.read(ALL)] == list(texts.values())
        assert (await trail.verify()).is_intact

    @requires("survives_restart")
    async def test_chain_goes_on_after_a_restart(self, harness: AuditHarness) -> None:
        """A new process chains to the last line of the old one."""
        await self._write_five(harness)
        await harness.restart()
        await (await harness.open()).record([make_event(order_id="new")])
        trail = await harness.trail()
        report = await trail.verify()
        assert (report.is_intact, report.lines) == (True, 6)

    # ---- reading

    async def test_limit_keeps_the_newest_oldest_first(self, harness: AuditHarness) -> None:
        """The newest lines, in the order in which they happened."""
        await self._write_five(harness)
        trail = await harness.trail()
        for limit, expected in ((2, ["4", "5"]), (99, list("12345")), (0, [])):
            found = await trail.read(AuditQuery(limit=limit))
            assert [record.event.order_id for record in found] == expected

    async def test_query_finds_what_it_names(self, harness: AuditHarness) -> None:
        """Severity, type, time and order restrict, together; the limit counts what matches."""
        sink, trail = await harness.open(), await harness.trail()
        for number in range(6):
            await sink.record(
                [
                    make_event(
                        timestamp=START + timedelta(minutes=number),
                        severity=AuditSeverity.ERROR if number % 2 else AuditSeverity.INFO,
                        event_type="odd" if number % 2 else "even",
                        order_id=f"o{number // 3}",
                        data={"number": number},
                    )
                ]
            )

        async def find(query: AuditQuery) -> list[object]:
            return [record.event.data["number"] for record in await trail.read(query)]

        assert await find(AuditQuery(severity=AuditSeverity.ERROR)) == [1, 3, 5]
        worse = frozenset({AuditSeverity.WARNING, AuditSeverity.ERROR})
        assert await find(AuditQuery(severities=worse, limit=2)) == [3, 5]
        assert await find(AuditQuery(event_type="even")) == [0, 2, 4]
        assert await find(AuditQuery(since=START + timedelta(minutes=4))) == [4, 5]
        assert await find(AuditQuery(order_id="o1")) == [3, 4, 5]
        assert await find(AuditQuery(order_id="o1", event_type="odd")) == [3, 5]
        assert await find(AuditQuery(event_type="odd", limit=1)) == [5]
        assert await find(AuditQuery(event_type="nothing")) == []

    async def test_follower_sees_what_was_and_what_comes(self, harness: AuditHarness) -> None:
        """`follow` begins with what `read` gives, misses nothing after it, and does not end."""
        await self._write_five(harness)
        sink, trail = await harness.open(), await harness.trail()
        seen: list[str] = []
        has_all = anyio.Event()

        async def follow() -> None:
            async for record in trail.follow(AuditQuery(limit=2, event_type="order_received")):
                seen.append(record.event.order_id or "")
                if seen[-1] == "last":
                    has_all.set()

        async with anyio.create_task_group() as group:
            group.start_soon(follow, name="follow")
            await settle()
            await sink.record([make_event(order_id="6"), make_event(event_type="other")])
            await sink.record([make_event(order_id="7")])
            await sink.record([make_event(order_id="last")])
            for _ in range(PROMPT_SECONDS * 10):
                if not has_all.is_set():
                    # A trail that is looked at from time to time needs that time to pass.
                    await harness.elapse(harness.tick)
                    with anyio.move_on_after(0.1):
                        await has_all.wait()
            assert has_all.is_set()
            group.cancel_scope.cancel()
        # Lines of the first moment may be part of what was or of what came.
        assert seen[-3:] == ["6", "7", "last"]
        assert seen[:-3] in (["4", "5"], ["5"], [])

    # ---- reading on

    async def test_reading_on_gives_every_line_once(self, harness: AuditHarness) -> None:
        """Piece by piece, then what comes later: no line is missed, none comes twice."""
        sink, trail = await harness.open(), await harness.trail()
        assert await trail.read_on(None) == TrailPiece(records=(), mark=None, is_at_end=True)
        await self._write_five(harness)
        seen: list[str | None] = []
        mark, is_at_end, pieces = None, False, 0
        while not is_at_end:
            piece = await trail.read_on(mark, limit=2)
            seen += [record.event.order_id for record in piece.records]
            mark, is_at_end, pieces = piece.mark, piece.is_at_end, pieces + 1
        assert (seen, pieces) == (list("12345"), 3)
        nothing = await trail.read_on(mark)
        assert nothing == TrailPiece(records=(), mark=mark, is_at_end=True)
        await sink.record([make_event(order_id="6")])
        if self.features.survives_restart:
            await harness.restart()
            trail = await harness.trail()
        piece = await trail.read_on(mark)
        assert [record.event.order_id for record in piece.records] == ["6"]
        assert list(piece.records) == list(await trail.read(AuditQuery(limit=1)))

    @requires("can_be_tampered_with")
    async def test_reading_on_notices_that_its_place_is_gone(self, harness: AuditHarness) -> None:
        """Who counts the lines must hear that those counted are no longer there."""
        await self._write_five(harness)
        trail = await harness.trail()
        mark = (await trail.read_on(None)).mark
        await harness.remove_line(5)
        with pytest.raises(TrailReplaced):
            await trail.read_on(mark)
        assert len((await trail.read_on(None)).records) == 4

    async def _write_five(self, harness: AuditHarness) -> None:
        sink = await harness.open()
        for number in range(1, 6):
            await sink.record([make_event(order_id=str(number), timestamp=harness.now())])
