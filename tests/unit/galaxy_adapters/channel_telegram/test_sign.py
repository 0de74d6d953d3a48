"""What the channel says of itself: how it gets on with Telegram."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import anyio
import pytest

from galaxy_adapters.channel_telegram._errors import CallFailed, Trouble
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._poller import Poller
from galaxy_adapters.channel_telegram.config import TelegramConfig
from galaxy_core.testing.clock import START, ManualClock, settle
from galaxy_core.testing.memory import MemoryIncidentSink

pytestmark = pytest.mark.anyio

TIMEOUT = TelegramConfig(token="1:a").poll_timeout
NOTICED_WITHIN = timedelta(seconds=15)


class Bot:
    """Telegram's side: answers, is silent, or cannot be reached."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.failure: Exception | None = None
        self.is_silent = False

    async def __call__(
        self,
        method: str,
        parameters: dict[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Answer after as long as the question may be held."""
        if self.failure is not None:
            raise self.failure
        await self.clock.sleep(TIMEOUT)
        if self.is_silent:
            await self.clock.sleep(timedelta(days=1))
        return []


class Store:
    """Nothing comes."""

    wants_look = False

    def looked(self) -> None:
        """Port of the poller."""

    async def store(self, updates: Sequence[object]) -> int | None:
        """Port of the poller."""
        return None


async def test_a_way_that_breaks_shows_within_15_seconds() -> None:
    """Silent in the middle of a question, or refused: either is noticed, and when it is over."""
    clock = ManualClock()
    health, bot = Health("1", clock, MemoryIncidentSink()), Bot(clock)
    poller = Poller(bot, Store(), clock, health, TIMEOUT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poller.run)
        await settle()
        await clock.elapse(timedelta(minutes=1))
        assert not poller.is_overdue()
        assert health.heard_at is not None
        assert health.heard_at - START > timedelta(seconds=45)
        bot.is_silent = True
        await clock.elapse(NOTICED_WITHIN)
        assert poller.is_overdue()
        tasks.cancel_scope.cancel()

    def shown() -> Trouble | None:
        return health.shown

    bot.is_silent = False
    bot.failure = CallFailed("away", Trouble.NETWORK)
    poller = Poller(bot, Store(), clock, health, TIMEOUT)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poller.run)
        await clock.elapse(timedelta(seconds=2))
        assert shown() is None, "a hiccup"
        await clock.elapse(NOTICED_WITHIN)
        assert shown() is Trouble.NETWORK
        bot.failure = None
        await clock.elapse(timedelta(minutes=1))
        assert shown() is None
        tasks.cancel_scope.cancel()
