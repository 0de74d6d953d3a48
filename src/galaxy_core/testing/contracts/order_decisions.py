"""What `OrderCatalogue` owes people about orders that were given up."""

from __future__ import annotations

import pytest

from galaxy_core.domain.errors import OrderNotDismissable, OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.order_queue import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order

GIVEN_UP = OrderId("given-up")


class OrderDecisions(Contract):
    """Somebody decides on an order that was given up: once more, or never mind."""

    async def test_order_that_was_given_up_waits_for_a_decision(
        self, harness: QueueHarness
    ) -> None:
        """Until somebody dismisses it, and for nobody after that."""
        catalogue = await _give_up(harness)
        assert not await _is_decided(harness)
        assert await catalogue.dismiss(GIVEN_UP)
        assert await _is_decided(harness)

    async def test_dismissing_twice_is_dismissing(self, harness: QueueHarness) -> None:
        """A second time changes nothing and says so."""
        catalogue = await _give_up(harness)
        assert await catalogue.dismiss(GIVEN_UP)
        assert not await catalogue.dismiss(GIVEN_UP)
        assert await _is_decided(harness)

    async def test_trying_again_is_a_decision(self, harness: QueueHarness) -> None:
        """There is nothing left to dismiss then."""
        catalogue = await _give_up(harness)
        await catalogue.retry(GIVEN_UP)
        assert await _is_decided(harness)
        assert not await catalogue.dismiss(GIVEN_UP)

    async def test_dismissed_order_can_be_tried_again(self, harness: QueueHarness) -> None:
        """People change their minds."""
        catalogue = await _give_up(harness)
        await catalogue.dismiss(GIVEN_UP)
        new_id = await catalogue.retry(GIVEN_UP)
        view = await catalogue.get(new_id)
        assert view is not None
        assert not view.state.is_final

    @pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.DEAD])
    async def test_what_was_not_given_up_cannot_be_dismissed(
        self, harness: QueueHarness, outcome: Outcome
    ) -> None:
        """An order that waits, runs or ended in another way asks for no decision."""
        queue, catalogue = await harness.open(), await harness.catalogue()
        await queue.enqueue(make_order(id=GIVEN_UP))
        with pytest.raises(OrderNotDismissable):
            await catalogue.dismiss(GIVEN_UP)
        delivery = await harness.claim(queue)
        with pytest.raises(OrderNotDismissable):
            await catalogue.dismiss(GIVEN_UP)
        await queue.ack(delivery, make_ending(outcome=outcome, finished_at=harness.now()))
        with pytest.raises(OrderNotDismissable):
            await catalogue.dismiss(GIVEN_UP)
        assert not await _is_decided(harness)

    @pytest.mark.parametrize("bad_id", ["never-heard-of", "../secret", "a/b", "", "a\0b"])
    async def test_unknown_order_cannot_be_dismissed(
        self, harness: QueueHarness, bad_id: str
    ) -> None:
        """A misspelt id is said so, not swallowed."""
        await harness.open()
        with pytest.raises(OrderNotFound):
            await (await harness.catalogue()).dismiss(OrderId(bad_id))

    @requires("survives_restart")
    async def test_decision_survives_a_restart(self, harness: QueueHarness) -> None:
        """Durable when it returns: nobody is asked again."""
        catalogue = await _give_up(harness)
        await catalogue.dismiss(GIVEN_UP)
        await harness.restart()
        await harness.open("after")
        assert await _is_decided(harness)
        assert not await (await harness.catalogue()).dismiss(GIVEN_UP)


async def _give_up(harness: QueueHarness) -> OrderCatalogue:
    queue = await harness.open("before")
    await queue.enqueue(make_order(id=GIVEN_UP))
    ending = make_ending(outcome=Outcome.DEAD, finished_at=harness.now())
    await queue.dead_letter(await harness.claim(queue), ending)
    return await harness.catalogue()


async def _is_decided(harness: QueueHarness) -> bool:
    view = await (await harness.catalogue()).get(GIVEN_UP)
    assert view is not None
    return view.is_decided
