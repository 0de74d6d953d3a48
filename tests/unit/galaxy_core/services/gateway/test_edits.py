"""Messages that were changed: nothing runs by itself, and nobody is left wondering."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.galaxy_core.services.gateway.world import (
    OWNER,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


async def test_edited_order_command_runs_as_the_command(tmp_path: Path) -> None:
    """What runs again is what the command says, where it says, without the command itself."""
    world = GatewayWorld(tmp_path, ("lab", "den"))
    async with world.running():
        first = world.say("/order den dig", message_id="1")
        await world.until(lambda: len(world.answers()) == 1)
        world.say("/order den dig deeper", message_id="1", is_edit=True, sent_at=first.sent_at)
        await world.until(lambda: any(b.text == "Run again" for b in world.buttons(OWNER)))
        world.press("Run again")
        await world.until(lambda: len(world.answers()) == 2)
    assert world.machines["den"].agent.prompts == ["dig", "dig deeper"]
    assert world.lab.agent.prompts == []


async def test_edited_order_for_all_is_offered_for_each(tmp_path: Path) -> None:
    """An order for all that was changed is not passed over in silence."""
    world = GatewayWorld(tmp_path, ("lab", "den"))
    async with world.running():
        first = world.say("/order all dig", message_id="1")
        await world.until(lambda: len(world.answers()) == 2)
        world.say("/order all dig deeper", message_id="1", is_edit=True, sent_at=first.sent_at)
        await world.until(lambda: sum(b.text == "Run again" for b in world.buttons(OWNER)) == 2)
        asked = [p.text for p in world.service.sent if p.buttons]
    assert any("**lab**" in text for text in asked)
    assert any("**den**" in text for text in asked)


async def test_edited_command_is_answered_with_what_to_do(world: GatewayWorld) -> None:
    """A changed command is not carried out, and its author is not left wondering."""
    async with world.running():
        world.say("/statsu", message_id="1")
        await world.until(lambda: len(world.texts()) == 1)
        world.say("/status", message_id="1", is_edit=True)
        await world.until(lambda: len(world.texts()) == 2)
    assert "new message" in world.texts()[1]


async def test_edit_of_a_viewer_is_no_offence(world: GatewayWorld) -> None:
    """Telegram calls many things an edit: who may only look is not scolded for one."""
    async with world.running():
        world.say("hello", by=VIEWER, message_id="1", is_edit=True)
        await world.until(lambda: not world.service.messages)
    assert world.texts(VIEWER) == []
