"""One bad record, refusing store or defect is one person's trouble, not everybody's."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_core.domain.errors import PermanentError, StorageUnavailable
from galaxy_core.testing.memory.note_store import KeptNote
from tests.unit.galaxy_core.services.gateway.world import (
    OPERATOR,
    OWNER,
    STRANGER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["ask", "person", "pairing", "conversation"])
async def test_broken_note_stops_nobody_else(world: GatewayWorld, kind: str) -> None:
    """A record that a newer or older version wrote is left alone; people are served."""
    key = f"memory:{OWNER}" if kind == "conversation" else "broken"
    world.notes.kinds[kind] = {key: KeptNote(json.dumps({"since": "no time", "machine": [1]}))}
    async with world.running():
        await world.clock.elapse(timedelta(minutes=3))
        world.say("do it", by=OPERATOR)
        await world.until(lambda: len(world.answers(OPERATOR)) == 1)
        world.say("/start", by=STRANGER)
        await world.until(lambda: bool(world.texts(STRANGER)))
        world.say("/whoami", message_id="9")
        await world.until(lambda: not world.service.messages)


@pytest.mark.parametrize("count", [1, 3, 6])
async def test_store_that_refuses_at_the_start_ends_nothing(
    world: GatewayWorld, count: int
) -> None:
    """Whatever cannot be read when the gateway starts is read when it can."""
    world.faults.fail("notes.list", StorageUnavailable("away"), times=count)
    async with world.running():
        await world.clock.elapse(timedelta(minutes=1))
        world.say("do it")
        await world.until(lambda: len(world.answers()) == 1)


async def test_defect_in_watching_one_order_is_that_orders_only(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that cannot be shown is answered all the same, and so are the others."""

    async def broken(order_id: object) -> None:
        raise ValueError(order_id)

    monkeypatch.setattr(world.lab.progress, "latest", broken)
    monkeypatch.setattr(world.lab.progress, "follow", broken)
    async with world.running():
        world.say("do it")
        await world.until(lambda: len(world.answers()) == 1)
        await world.clock.elapse(timedelta(minutes=2))
        world.say("and this", message_id="2")
        await world.until(lambda: len(world.answers()) == 2)


async def test_machine_whose_folder_is_away_blocks_no_button(tmp_path: Path) -> None:
    """`/status all` tells of the machines that can be read; presses behind it are heard."""
    world = GatewayWorld(tmp_path, ("lab", "den"))
    world.machines["den"].faults.fail("catalogue.count", StorageUnavailable("gone"), times=None)
    world.machines["den"].faults.fail("catalogue.list", StorageUnavailable("gone"), times=None)
    async with world.running():
        for number, command in enumerate(("/status all", "/queue", "/history", "/machines")):
            world.say(command, message_id=str(number))
            await world.until(lambda number=number: len(world.texts()) == number + 1)  # type: ignore[misc]
    assert all("**lab**" in world.texts()[number] for number in (0, 3))
    assert "cannot be read" in world.texts()[0]


async def test_refusal_that_cannot_be_stored_waits_for_the_store(world: GatewayWorld) -> None:
    """Who sent what cannot be taken hears of it when that can be written, not at a restart."""
    world.lab.faults.fail("queue.enqueue", PermanentError("No such thing."), times=1)
    world.faults.fail("outbox.post", StorageUnavailable("away"), times=3)
    async with world.running():
        world.say("do it")
        await world.until(lambda: world.texts() == ["No such thing."])
        await world.until(lambda: not world.service.messages)
