"""Buttons come back with whatever somebody's client sends."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_core.testing.factories import make_press
from tests.unit.galaxy_core.services.gateway.world import OWNER, GatewayWorld

presses = st.text(max_size=80) | st.builds(
    lambda prefix, rest: f"{prefix}:{rest}",
    st.sampled_from(["a", "c", "k", "ask", "s", "p", "r", "x", ""]),
    st.text(max_size=70) | st.from_regex(r"[0-9a-f]{0,16}(:[0-9]{0,30})?", fullmatch=True),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(presses, min_size=1, max_size=8))
def test_presses_of_any_form(tmp_path_factory: pytest.TempPathFactory, data: list[str]) -> None:
    """Each is dealt with and gone; nothing is done, and an order after them is taken."""
    folder = tmp_path_factory.mktemp("world")

    async def play() -> None:
        world = GatewayWorld(folder)
        async with world.running():
            for each in data:
                world.service.push(make_press(sender_id=OWNER, chat_id=OWNER, data=each))
            world.say("SAY hello")
            await world.until(lambda: not world.service.messages)
            await world.until(lambda: bool(world.answers()))
        assert len(world.answers()) == 1

    anyio.run(play)
