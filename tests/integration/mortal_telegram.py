"""A process that takes in what people write to a bot, and kills itself with SIGKILL at a step.

    python -m tests.integration.mortal_telegram FOLDER BASE_URL TOKEN STEP

A step is a call that writes or asks, counted before and after it: the question for updates, a
write to the store, an order, `receive`.  Orders are files named after the message's key.  It ends
when it has dealt with the message `last`, or, with STEP 0, which it survives, with `end`.
"""

import inspect
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio

from galaxy_adapters.channel_telegram import TelegramConfig
from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_core.domain.message import InboundMessage
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink


class Life:
    """Counts steps, and ends at one."""

    def __init__(self, last_step: int) -> None:
        self._last = last_step
        self._steps = 0

    def step(self) -> None:
        """One more."""
        self._steps += 1
        if self._steps == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """The same call, as two steps."""

        async def counted(*args: object, **kwargs: object) -> object:
            self.step()
            result = await call(*args, **kwargs)
            self.step()
            return result

        return counted


class Mortal:
    """A port whose calls are steps."""

    def __init__(self, port: object, life: Life, *methods: str) -> None:
        self._port, self._life, self._methods = port, life, methods

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any port's member
        found = getattr(self._port, name)
        is_counted = name in self._methods and inspect.iscoroutinefunction(found)
        return self._life.counted(found) if is_counted else found


async def main(folder: Path, base_url: str, token: str, last_step: int) -> None:
    """Take orders until the last one is confirmed."""
    life, clock, incidents = Life(last_step), SystemClock(), MemoryIncidentSink()
    config = TelegramConfig(token=token, base_url=base_url, poll_timeout=timedelta(seconds=5))
    async with SqliteNoteStore(folder / "notes.sqlite3", clock, incidents) as store:
        notes: Any = Mortal(store, life, "add", "close", "put")
        receiving: Any = Mortal(
            Receiving(config, "telegram", notes, clock, incidents), life, "receive"
        )
        async with BotApi(config) as bot_api:
            api: Any = Mortal(bot_api, life, "call")
            async with receiving.running(api):
                while True:
                    inbound = await receiving.receive()
                    assert isinstance(inbound, InboundMessage)
                    await life.counted(order)(folder / "orders", inbound)
                    await receiving.confirm(inbound)
                    if inbound.text == ("last" if last_step else "end"):
                        break
        left = await store.list(f"telegram:{config.bot_id}:update")
    sys.stdout.write(json.dumps({"open": [note.key for note in left]}))


async def order(folder: Path, inbound: InboundMessage) -> None:
    """Accept it once, under the message's key."""
    path = folder / inbound.key.replace(":", "-")
    if not path.exists():
        told = [inbound.text, *(quote.text for quote in inbound.quotes)]
        scratch = path.with_suffix(".tmp")
        scratch.write_text(json.dumps(told), "utf-8")
        scratch.rename(path)


if __name__ == "__main__":
    anyio.run(main, Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
