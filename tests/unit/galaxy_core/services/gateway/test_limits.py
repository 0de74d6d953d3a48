"""Limits: counted once, by person, and strangers have some too."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.memory.agent import Script
from tests.unit.galaxy_core.services.gateway.world import (
    DONE,
    GROUP,
    OPERATOR,
    OWNER,
    PERMISSION,
    PHOTO,
    STRANGER,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


async def test_message_that_is_tried_again_counts_once(world: GatewayWorld) -> None:
    """A store that was away for a moment uses up nobody's orders."""
    world.faults.fail("audit.record", StorageUnavailable("away"), times=3)
    async with world.running(orders_per_minute=1):
        world.faults.fail("channel.fetch", StorageUnavailable("away"), times=2)
        world.service.files["file-1"] = b"photo"
        world.say("do it", files=(PHOTO,), message_id="1")
        for _ in range(5):
            await world.clock.elapse(timedelta(seconds=5))
        await world.until(lambda: len(world.answers()) == 1)
    assert "message_refused" not in world.types()


async def test_waiting_orders_are_counted_by_person(world: GatewayWorld) -> None:
    """One who fills their places in a group leaves the others theirs."""
    async with world.running(with_hermes=False, waiting_orders=1):
        world.say("one", by=OPERATOR, chat=GROUP, message_id="1")
        await world.until(lambda: len(world.lab.orders.all()) == 1)
        world.say("two", by=OWNER, chat=GROUP, message_id="2")
        await world.until(lambda: len(world.lab.orders.all()) == 2)
        world.say("three", by=OPERATOR, message_id="3")
        await world.until(lambda: any("waiting" in text for text in world.texts(OPERATOR)))
    assert len(world.lab.orders.all()) == 2


async def test_stranger_cannot_fill_the_outbox(world: GatewayWorld) -> None:
    """Whoever says /start a hundred times is told their code a few times."""
    async with world.running():
        for number in range(100):
            world.say("/start", by=STRANGER, message_id=str(number))
        await world.until(lambda: not world.service.messages)
        await world.until(lambda: not world.letters.waiting)
        assert 1 <= len(world.texts(STRANGER)) <= 3
        await world.clock.elapse(timedelta(minutes=2))
        world.say("/start", by=STRANGER, message_id="again")
        before = len(world.texts(STRANGER))
        await world.until(lambda: len(world.texts(STRANGER)) == before + 1)


async def test_denials_are_on_record(world: GatewayWorld) -> None:
    """Who tried what they may not leaves a line, whichever way they tried."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("/cancel", by=VIEWER, message_id="1")
        world.say("do it", by=VIEWER, message_id="2")
        world.say("go", by=OWNER, chat=GROUP, message_id="3")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(GROUP)))
        await world.until(lambda: any(b.text == "Cancel" for b in world.buttons(GROUP)))
        world.press("Once", by=OPERATOR, chat=GROUP)
        world.press("Cancel", by=OPERATOR, chat=GROUP)
        await world.until(lambda: len(world.toasts()) == 2)
    refused = [
        str(r.event.data["person"])
        for r in world.lines.records
        if r.event.event_type == "message_refused"
    ]
    assert sorted(refused) == sorted([VIEWER, VIEWER, OPERATOR, OPERATOR])
