"""Waiting for an order's end."""

from datetime import timedelta

import anyio
import pytest

from galaxy_core.domain.errors import OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.services.waiting import wait_for_end
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_order
from tests.unit.galaxy_core.services.world import World

ONE = OrderId("one")


async def test_waiting_returns_the_end() -> None:
    """Whoever waits gets the order as it ended."""
    world = World()
    await world.submit(make_order(id=ONE))
    async with world.running(), anyio.create_task_group() as tasks:

        async def wait() -> None:
            view = await wait_for_end(world.catalogue, world.clock, ONE)
            assert view.ending is not None
            assert view.ending.outcome is Outcome.SUCCEEDED
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait)
        await settle()
        await world.elapse(1)
    assert tasks.cancel_scope.cancel_called


async def test_waiting_ends_with_the_patience() -> None:
    """A wait that is over gives the order back as it stands, and the order goes on."""
    world = World()
    await world.submit(make_order(id=ONE))
    async with anyio.create_task_group() as tasks:

        async def wait() -> None:
            view = await wait_for_end(
                world.catalogue, world.clock, ONE, patience=timedelta(seconds=2)
            )
            assert view.state is OrderState.PENDING
            tasks.cancel_scope.cancel()

        tasks.start_soon(wait)
        await settle()
        await world.elapse(1.9)
        assert not tasks.cancel_scope.cancel_called
        await world.elapse(0.2)
    assert tasks.cancel_scope.cancel_called


async def test_waiting_for_the_unknown_is_refused() -> None:
    """Nobody waits for ever for a misspelt id."""
    with pytest.raises(OrderNotFound):
        await wait_for_end(World().catalogue, World().clock, ONE)
