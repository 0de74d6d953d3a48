"""Machines that share a folder: each has its own orders, and nothing is shown twice."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_core.testing.memory.agent import Script
from tests.unit.galaxy_core.services.gateway.world import DONE, OWNER, PERMISSION, GatewayWorld

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> GatewayWorld:
    """Give two machines with one folder."""
    return GatewayWorld(tmp_path, ("lab", "den"), is_shared=True)


async def test_order_says_which_machine_is_meant(world: GatewayWorld) -> None:
    """In a folder of two, an order without a target would be run by whoever comes first."""
    async with world.running(with_hermes=False):
        world.say("plain", message_id="1")
        world.say("/order den named", message_id="2")
        world.say("/machine den", message_id="3")
        world.say("chosen", message_id="4")
        world.say("/order all each", message_id="5")
        await world.until(lambda: len(world.lab.orders.all()) == 5)
    targets = {(e.order.payload, e.order.target) for e in world.lab.orders.all()}
    assert targets == {
        ("plain", "lab"),
        ("named", "den"),
        ("chosen", "den"),
        ("each", "lab"),
        ("each", "den"),
    }


async def test_order_is_shown_and_asked_about_once(world: GatewayWorld) -> None:
    """Both machines list it; it is one order all the same."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        await world.clock.elapse(timedelta(minutes=2))
        assert sum(b.text == "Once" for b in world.buttons(OWNER)) == 1
        assert len(world.service.cards) == 1
        world.say("/queue", message_id="2")
        await world.until(lambda: any("1 running" in text for text in world.texts()))
        (listed,) = [text for text in world.texts() if "1 running" in text]
        assert listed.count("1 running") == 1
