"""What a `TrailIndex` owes a trail whose beginning was removed."""

from __future__ import annotations

from datetime import timedelta

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.trail_index import AuditSearch, TrailIndex
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import Contract
from galaxy_core.testing.contracts.harness import Harness
from galaxy_core.testing.factories import make_event


class TrailIndexForgetting(Contract):
    """Lines go with their trail; what was counted stays."""

    async def test_lines_before_the_first_one_are_forgotten(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """Searches and orders find them no more; those of other trails stay, whatever their age."""
        index = await harness.open()
        await _feed(index, "t", [_end(number) for number in range(5)])
        await _feed(index, "u", [_end(0, "other")])
        await _forget(index, "t", _end(3))
        assert await _found(index) == ["4", "3", "other"]
        assert not await index.of_order(OrderId("2"))
        assert await index.of_order(OrderId("3"))

    async def test_what_is_counted_stays(self, harness: Harness[TrailIndex]) -> None:
        """Figures do not fall because somebody tidied up, and ended orders are listed."""
        index = await harness.open()
        await _feed(index, "t", [_end(number) for number in range(5)])
        before = await index.totals()
        await _forget(index, "t", _end(3))
        assert await index.totals() == before
        assert dict(before.ended) == {("lab", OrderState.SUCCEEDED): 5}
        assert list(await index.ended()) == ["4", "3", "2", "1", "0"]
        async with index.feeder() as feeder:
            assert feeder is not None
            assert dict(await feeder.marks()) == {"t": "m"}

    async def test_nothing_is_forgotten_for_a_line_that_is_not_known(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """Nor for the line with which it begins anyway, nor for that of another trail."""
        index = await harness.open()
        await _feed(index, "t", [_end(number) for number in range(3)])
        for trail, first in (("t", _end(7)), ("t", _end(0)), ("u", _end(2)), ("t", _end(2, "x"))):
            await _forget(index, trail, first)
        assert await _found(index) == ["2", "1", "0"]

    async def test_a_clock_that_went_back_forgets_no_line_too_many(
        self, harness: Harness[TrailIndex]
    ) -> None:
        """The place in the trail counts, not what a line says of its time."""
        index = await harness.open()
        await _feed(index, "t", [_end(9), _end(5), _end(1), _end(3)])
        await _forget(index, "t", _end(5))
        assert await _found(index) == ["5", "3", "1"]


def _end(second: int, order_id: str | None = None) -> AuditEvent:
    return make_event(
        timestamp=START + timedelta(seconds=second),
        event_type="order_executed_success",
        order_id=str(second) if order_id is None else order_id,
        machine="lab",
        data={"outcome": "succeeded"},
    )


async def _feed(index: TrailIndex, trail: str, events: list[AuditEvent]) -> None:
    async with index.feeder() as feeder:
        assert feeder is not None
        await feeder.add(trail, events, "m")


async def _forget(index: TrailIndex, trail: str, first: AuditEvent) -> None:
    async with index.feeder() as feeder:
        assert feeder is not None
        while await feeder.forget_before(trail, first):
            pass


async def _found(index: TrailIndex) -> list[str]:
    return [event.order_id or "" for _, event in (await index.search(AuditSearch())).events]
