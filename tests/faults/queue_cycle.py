"""What a worker does in its life, on one folder, and the check of what it left behind.

`prepare` makes a folder with trouble in it, `cycle` works through it and says aloud what it was
promised, `check` recovers as the next worker does and compares.  Nothing here knows of faults.
"""

import json
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, QueueTimes
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.memory import MemoryIncidentSink
from galaxy_core.wire.layout import Layout

Say = Callable[[str, str], None]
"""Tells the outside, at once and for good, of one step and the order it was about."""

HALF_WRITTEN = b'{"payload": "never finis'
_TRIES = 4


def open_queue(folder: Path) -> FilesystemOrderQueue:
    """Open the folder as the machine's Hermes does, with less patience."""
    return FilesystemOrderQueue(
        Layout(folder),
        machine="test",
        clock=SystemClock(),
        incidents=MemoryIncidentSink(),
        times=QueueTimes(settle=timedelta(milliseconds=1)),
    )


def say_on(descriptor: int) -> Say:
    """Say it on a file descriptor, by a system call that nothing else here makes."""

    def say(step: str, order_id: str) -> None:
        os.writev(descriptor, [json.dumps([step, order_id]).encode() + b"\n"])

    return say


async def prepare(folder: Path) -> None:
    """Orders that wait, one that a dead worker holds, one half-written."""
    queue = open_queue(folder)
    async with queue:
        await queue.enqueue(make_order(id="orphan", session="talk"))
        await queue.enqueue(make_order(id="behind", session="talk"))
        delivery = await queue.claim()
        assert delivery is not None
        assert delivery.order.id == "orphan"
        queue._life.abandon()
    orders = Layout(folder).orders
    (orders / "dropped in.json").write_bytes(b'{"payload": "by hand", "colour": "blue"}')
    (orders / "half.json").write_bytes(HALF_WRITTEN)


async def cycle(folder: Path, say: Say) -> None:
    """Enqueue, claim, give back, end: everything once, and what fails a few times."""
    async with AsyncExitStack() as stack:
        queue = await _persist(lambda: stack.enter_async_context(open_queue(folder)))
        for order in (
            make_order(id="new", payload="one", session="talk"),
            make_order(id="new", payload="two", session="talk"),
            make_order(id="keyed", idempotency_key="update 7"),
        ):
            enqueued = await _persist(partial(queue.enqueue, order))
            say("accepted", enqueued.order_id)
        is_given_back = False
        while True:
            delivery = await _persist(queue.claim)
            if delivery is None:
                break
            say("claimed", delivery.order.id)
            if not is_given_back:
                is_given_back = True
                await _persist(partial(queue.nack, delivery, reason="a passing failure"))
                continue
            settle = queue.dead_letter if delivery.order.id == "keyed" else queue.ack
            await _settle(settle, delivery, say)


async def check(folder: Path, said: list[tuple[str, str]]) -> list[str]:
    """Recover and work everything off; what is not as it was promised, one sentence each."""
    accepted = {"orphan", "behind", "dropped in", *(o for s, o in said if s == "accepted")}
    ended_before = {order_id for step, order_id in said if step == "ended"}
    wrong: list[str] = []
    claimed: list[str] = []
    async with open_queue(folder) as queue:
        while (delivery := await _next(queue)) is not None:
            claimed.append(delivery.order.id)
            await queue.ack(delivery, make_ending())
    layout = Layout(folder)
    archived: dict[str, dict[str, Any]] = {}
    for path in layout.archive.iterdir():
        archived[path.stem] = json.loads(path.read_bytes())
    wrong += [f"{order_id} was accepted and is lost" for order_id in accepted - set(archived)]
    wrong += [f"{order_id} had ended and came again" for order_id in ended_before & set(claimed)]
    wrong += [f"{order_id} came twice" for order_id in set(claimed) if claimed.count(order_id) > 1]
    for order_id, order in archived.items():
        if order.get("acknowledged") is not True or not order.get("payload"):
            wrong.append(f"{order_id} is torn")
    if archived.get("dropped in", {}).get("colour") != "blue":
        wrong.append("an unknown field is lost")
    if {a["payload"] for i, a in archived.items() if i.startswith("new")} - {"one", "two"}:
        wrong.append("an id was given to another order")
    wrong += [f"{path.name} is left over" for path in layout.orders.iterdir()]
    held = layout.queue_state / "held"
    wrong += [f"{path} is left over" for path in held.rglob("*")]
    aside = [path for path in layout.corrupted.iterdir() if path.suffix == ".json"]
    if [path.read_bytes() for path in aside] != [HALF_WRITTEN]:
        wrong.append(f"set aside are {[path.name for path in aside]}")
    return wrong


async def _next(queue: FilesystemOrderQueue) -> Delivery | None:
    """The next order, after a short wait for what is being recovered."""
    for _ in range(3):
        delivery = await queue.claim()
        if delivery is not None:
            return delivery
        await queue.wait(timedelta(milliseconds=20))
    return None


async def _settle(settle: Callable[..., Any], delivery: Delivery, say: Say) -> None:
    await _persist(lambda: settle(delivery, make_ending()))
    say("ended", delivery.order.id)


async def _persist(call: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the call returns
    """Try again what failed for a passing reason, as the services do."""
    for _ in range(_TRIES - 1):
        try:
            return await call()
        except StorageUnavailable:
            await anyio.sleep(0.001)
    return await call()
