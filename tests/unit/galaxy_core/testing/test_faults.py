"""Failures on demand, as tests of services use them."""

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.factories import make_order, make_response
from galaxy_core.testing.memory import (
    Crash,
    Faults,
    ManualClock,
    MemoryOrderQueue,
    MemoryOrders,
    MemoryResponseStore,
)

pytestmark = pytest.mark.anyio


async def test_failure_before_the_deed_leaves_nothing() -> None:
    """A write that fails at once was not done."""
    store = MemoryResponseStore()
    response = make_response()
    store.faults.fail("responses.commit", StorageUnavailable("no space"))
    with pytest.raises(StorageUnavailable):
        await store.commit(response)
    assert not await store.exists(response.order_id)
    await store.commit(response)


async def test_failure_after_the_deed_leaves_it_done() -> None:
    """A write whose answer is lost was done; asking again says so."""
    orders = MemoryOrders(ManualClock())
    queue = MemoryOrderQueue(orders)
    order = make_order()
    orders.faults.fail("queue.enqueue", StorageUnavailable("no answer"), is_done=True)
    with pytest.raises(StorageUnavailable):
        await queue.enqueue(order)
    assert not (await queue.enqueue(order)).is_new


async def test_failure_can_last() -> None:
    """A disk may stay full until the test empties it."""
    store = MemoryResponseStore()
    store.faults.fail("responses.commit", StorageUnavailable("no space"), times=None)
    for _ in range(3):
        with pytest.raises(StorageUnavailable):
            await store.commit(make_response())
    store.faults.clear()
    await store.commit(make_response())


@pytest.mark.parametrize("is_done", [False, True])
async def test_crash_comes_at_its_step(is_done: bool) -> None:  # noqa: FBT001 - by name
    """The n-th write over all adapters crashes, before or after its deed; no handler stops it."""
    faults = Faults()
    queue = MemoryOrderQueue(MemoryOrders(ManualClock(), faults=faults))
    store = MemoryResponseStore(faults=faults)
    faults.crash_at(2, is_done=is_done)
    order = make_order()
    await queue.enqueue(order)
    response = make_response(order_id=order.id)
    with pytest.raises(Crash):
        await store.commit(response)
    assert not issubclass(Crash, Exception)
    assert await store.exists(order.id) is is_done
    assert faults.writes == ["queue.enqueue", "responses.commit"]
