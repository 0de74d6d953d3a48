"""What people do with orders while no Hermes, or a busy one, is there."""

import pytest

from galaxy_core.domain.delivery import Delivery, TicketKind
from galaxy_core.domain.errors import OrderNotDismissable, OrderNotFound, OrderNotRetryable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Cancellation
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.services.desk import OrderDesk
from galaxy_core.testing.factories import make_ending, make_order, make_ticket
from galaxy_core.testing.faults import Crash
from galaxy_core.testing.memory import Hang, MemoryOrderQueue, Script
from tests.unit.galaxy_core.services.world import World

ONE = OrderId("one")


def desk(world: World) -> OrderDesk:
    """The desk of another process on the world's machine."""
    ports = world.ports()
    return OrderDesk(
        queue=ports.queue,
        catalogue=ports.catalogue,
        responses=ports.responses,
        outbox=ports.outbox,
        journal=ports.journal,
        control=ports.control,
        audit=ports.audit,
        clock=ports.clock,
        machine="test",
    )


async def held(world: World) -> tuple[MemoryOrderQueue, Delivery]:
    """An order in the hands of a worker."""
    await world.submit(make_order(id=ONE))
    worker = MemoryOrderQueue(world.orders, "worker")
    delivery = await worker.claim()
    assert delivery is not None
    return worker, delivery


async def test_a_waiting_order_is_ended_on_the_spot() -> None:
    """Cancelling needs no Hermes: response, letter, trail and archive are all there."""
    world = World()
    await world.submit(make_order(id=ONE))
    assert await desk(world).cancel(ONE, by="ann") is Cancellation.ENDED
    view = await world.view(ONE)
    assert view.state is OrderState.CANCELLED
    assert "cancelled by ann" in world.answer(ONE)
    assert list(world.letters.waiting) == ["hermes-one"]
    assert not world.box.commands
    assert world.types(ONE) == [
        "order_cancel_requested",
        "order_received",
        "order_claimed",
        "order_cancelled",
    ]
    assert world.agent.messages == {}


async def test_cancelling_what_is_over_changes_nothing() -> None:
    """A second wish, or one that comes too late, leaves the first answer alone."""
    world = World()
    await world.submit(make_order(id=ONE))
    await desk(world).cancel(ONE, by="ann")
    before = world.answer(ONE)
    assert await desk(world).cancel(ONE, by="bob") is Cancellation.ALREADY_ENDED
    assert world.answer(ONE) == before
    assert not world.box.commands


async def test_cancelling_the_unknown_leaves_no_command_behind() -> None:
    """A misspelt id is said to be one, and nothing waits for it ever after."""
    world = World()
    with pytest.raises(OrderNotFound):
        await desk(world).cancel(ONE, by="ann")
    assert not world.box.commands
    assert not world.events()


async def test_a_running_order_is_left_to_its_hermes() -> None:
    """Only who runs the agent can stop it: the desk asks, and Hermes ends the order."""
    world = World()
    world.agent.default = Script((Hang(),))
    await world.submit(make_order(id=ONE))
    async with world.running():
        await world.until(lambda: bool(world.agent.running))
        assert await desk(world).cancel(ONE, by="ann") is Cancellation.REQUESTED
        await world.until(lambda: world.ended(ONE))
    assert (await world.view(ONE)).state is OrderState.CANCELLED
    assert "cancelled by ann" in world.answer(ONE)


async def test_an_order_that_the_agent_may_know_is_left_to_hermes() -> None:
    """After a crash of Hermes its agent may still work: ending the order here would lie."""
    world = World()
    await world.submit(make_order(id=ONE))
    await world.journal.write_ticket(ONE, make_ticket(kind=TicketKind.PROMPT))
    assert await desk(world).cancel(ONE, by="ann") is Cancellation.REQUESTED
    view = await world.view(ONE)
    assert view.state is OrderState.PENDING
    assert not await world.responses.exists(ONE)


async def writes_of_a_cancellation() -> list[str]:
    """The writes of a whole one, in order."""
    world = World()
    await world.submit(make_order(id=ONE))
    world.faults.clear()
    await desk(world).cancel(ONE, by="ann")
    return list(world.faults.writes)


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_a_desk_killed_at_any_write_is_finished_by_hermes(*, is_done: bool) -> None:
    """Once the wish is written down the order ends as cancelled, answered once, and never runs."""
    writes = await writes_of_a_cancellation()
    wish = 1 + writes.index("control.send")
    for step in range(1, len(writes) + 1):
        world = World()
        await world.submit(make_order(id=ONE))
        world.faults.clear()
        world.faults.crash_at(step, is_done=is_done)
        clerk = desk(world)
        dying = world.queue
        with pytest.raises((Crash, BaseExceptionGroup)):
            await clerk.cancel(ONE, by="ann")
        dying.kill()
        world.faults.clear()
        assert not await world.run_until_killed()
        is_wanted = step > wish or (step == wish and is_done)
        expected = OrderState.CANCELLED if is_wanted else OrderState.SUCCEEDED
        assert (await world.view(ONE)).state is expected, writes[step - 1]
        assert len(world.agent.messages) == (0 if is_wanted else 1)
        assert list(world.letters.waiting) == ["hermes-one"]


async def test_a_retry_is_a_new_order_and_on_record() -> None:
    """The trail says who tried again, and under which id it goes on."""
    world = World()
    worker, delivery = await held(world)
    clerk = desk(world)
    with pytest.raises(OrderNotRetryable):
        await clerk.retry(ONE, by="ann")
    await worker.ack(delivery, make_ending(outcome=Outcome.FAILED))
    new_id = await clerk.retry(ONE, by="ann")
    assert (await world.view(new_id)).state is OrderState.PENDING
    (line,) = world.events(ONE)
    assert line.event_type == "order_retried"
    assert dict(line.data) == {"new_order_id": new_id, "by": "ann"}


async def test_a_dismissal_is_on_record_once() -> None:
    """The trail says who needs the order no more; a second time adds nothing."""
    world = World()
    worker, delivery = await held(world)
    clerk = desk(world)
    with pytest.raises(OrderNotDismissable):
        await clerk.dismiss(ONE, by="ann")
    await worker.dead_letter(delivery, make_ending(outcome=Outcome.DEAD))
    assert await clerk.dismiss(ONE, by="ann")
    assert not await clerk.dismiss(ONE, by="bob")
    with pytest.raises(OrderNotFound):
        await clerk.dismiss(OrderId("none"), by="ann")
    (line,) = world.events(ONE)
    assert line.event_type == "order_dismissed"
    assert dict(line.data) == {"by": "ann"}
