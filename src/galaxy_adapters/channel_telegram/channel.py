"""Telegram as a channel: the two halves, and the connection that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from galaxy_adapters.channel_telegram._files import Fetcher
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_adapters.channel_telegram.config import TelegramConfig
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address, Inbound, RemoteFile
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.domain.status import Card, Hint, Rates
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.note_store import NoteStore

if TYPE_CHECKING:
    from galaxy_adapters.channel_telegram._outbound import BotHealth, Outbound

_CLOSED = "open the channel with `async with` first"


class TelegramChannel(Channel, CommandMenu):
    """One bot.  Open it with `async with`, in the task that will close it.

    Telegram need not be reachable when it is opened: what was stored before is given out, and
    the rest comes when it can be had.
    """

    name = "telegram"

    def __init__(
        self, config: TelegramConfig, notes: NoteStore, clock: Clock, incidents: IncidentSink
    ) -> None:
        self._config = config
        self._clock = clock
        self._receiving = Receiving(config, self.name, notes, clock, incidents)
        self._open = AsyncExitStack()
        self._fetcher: Fetcher | None = None
        self._outbound: Outbound | None = None

    async def __aenter__(self) -> Self:
        # Here, because it costs a third of a second that `galaxy --help` need not pay.
        from galaxy_adapters.channel_telegram._api import BotApi  # noqa: PLC0415
        from galaxy_adapters.channel_telegram._outbound import Outbound  # noqa: PLC0415

        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(BotApi(self._config))
            self._fetcher = Fetcher(api, self._config.is_local, self._config.max_file_bytes)
            self._outbound = Outbound(
                self.name, api, self._clock, self._config.outgoing, self._config.has_drafts
            )
            await stack.enter_async_context(self._receiving.running(api))
            self._open = stack.pop_all()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._open.aclose()

    async def receive(self) -> Inbound:
        return await self._receiving.receive()

    def sign(self) -> ChannelSign:
        return self._receiving.sign()

    def stuck_for(self) -> timedelta | None:
        """How long one question to Telegram has taken that should be over; None: all is well."""
        return self._receiving.stuck_for()

    async def confirm(self, inbound: Inbound) -> None:
        await self._receiving.confirm(inbound)

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        if self._fetcher is None:
            raise RuntimeError(_CLOSED)
        await self._fetcher.fetch(file, target)

    def rates(self) -> Rates:
        return self._config.rates

    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        return await self._writing().send(letter, address, part, is_repeat=is_repeat)

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        return await self._writing().show(card, address, message_id)

    async def hint(self, hint: Hint, address: Address) -> None:
        await self._writing().hint(hint, address)

    async def publish(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        await self._writing().publish(everyone, people)

    async def check(self) -> BotHealth:
        """Ask Telegram who the bot is; says what is wrong rather than raising."""
        return await self._writing().check()

    def _writing(self) -> Outbound:
        if self._outbound is None:
            raise RuntimeError(_CLOSED)
        return self._outbound
