"""Telegram as a channel: the two halves, and the connection that they share."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from galaxy_adapters.channel_telegram._files import Fetcher
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_adapters.channel_telegram.config import TelegramConfig
from galaxy_core.domain.message import Inbound, RemoteFile
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.note_store import NoteStore


class TelegramChannel(Channel):
    """One bot.  Open it with `async with`, in the task that will close it.

    Telegram need not be reachable when it is opened: what was stored before is given out, and
    the rest comes when it can be had.
    """

    name = "telegram"

    def __init__(
        self, config: TelegramConfig, notes: NoteStore, clock: Clock, incidents: IncidentSink
    ) -> None:
        self._config = config
        self._receiving = Receiving(config, self.name, notes, clock, incidents)
        self._open = AsyncExitStack()
        self._fetcher: Fetcher | None = None

    async def __aenter__(self) -> Self:
        # Here, because it costs a third of a second that `galaxy --help` need not pay.
        from galaxy_adapters.channel_telegram._api import BotApi  # noqa: PLC0415

        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(BotApi(self._config))
            self._fetcher = Fetcher(api, self._config.is_local, self._config.max_file_bytes)
            await stack.enter_async_context(self._receiving.running(api))
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def receive(self) -> Inbound:
        return await self._receiving.receive()

    async def confirm(self, inbound: Inbound) -> None:
        await self._receiving.confirm(inbound)

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        if self._fetcher is None:
            raise RuntimeError("open the channel with `async with` first")
        await self._fetcher.fetch(file, target)
