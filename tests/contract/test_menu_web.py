"""The page's list of commands under the suite of its port."""

# ruff: noqa: D102 - the suite's harness says what each method is for

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from galaxy_adapters.channel_web import WebChannel
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.testing.contracts import CommandMenuContract, MenuFeatures, MenuHarness
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink


class WebMenuHarness(MenuHarness):
    """What the page is told when it asks for the commands."""

    def __init__(self, folder: Path) -> None:
        self._clock = ManualClock()
        self._channel = WebChannel(folder, self._clock, MemoryIncidentSink())

    async def open(self) -> CommandMenu:
        return self._channel

    def now(self) -> datetime:
        return self._clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self._clock.elapse(duration)

    async def menu_of(self, person: str) -> Sequence[MenuEntry]:
        return self._channel.desk.commands(person)


class TestWebMenu(CommandMenuContract):
    """The page itself shows the menu: nothing on the way can refuse it."""

    features: ClassVar = MenuFeatures(has_outages=False)

    @pytest.fixture
    def harness(self, tmp_path: Path) -> MenuHarness:
        return WebMenuHarness(tmp_path)
