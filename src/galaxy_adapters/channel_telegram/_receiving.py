"""The inbound half of the channel: what runs while it is open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import structlog
from attrs import define, field

from galaxy_adapters.channel_telegram._errors import Trouble
from galaxy_adapters.channel_telegram._files import Connection
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._inbound import Inbox
from galaxy_adapters.channel_telegram._poller import Poller
from galaxy_adapters.channel_telegram.config import TelegramConfig
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.message import Inbound
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.note_store import NoteStore

_log = structlog.get_logger(__name__)

_PAUSE = timedelta(seconds=5)


@define(eq=False)
class Receiving:
    """What people send to one bot.  Open it with `async with receiving.running(api)`."""

    _config: TelegramConfig
    _channel: str
    _notes: NoteStore
    _clock: Clock
    _incidents: IncidentSink
    _inbox: Inbox = field(init=False)
    _health: Health = field(init=False)
    _poller: Poller | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        bot_id = self._config.bot_id
        self._inbox = Inbox(bot_id, self._channel, self._notes, self._clock, self._incidents)
        self._health = Health(bot_id, self._clock, self._incidents)

    async def receive(self) -> Inbound:
        """Do as `Channel.receive` says."""
        return await self._inbox.receive()

    async def confirm(self, inbound: Inbound) -> None:
        """Do as `Channel.confirm` says."""
        await self._inbox.confirm(inbound)

    def sign(self) -> ChannelSign:
        """Do as `Reporting.sign` says."""
        trouble = self._health.shown
        if trouble is None and self._poller is not None and self._poller.is_overdue():
            trouble = Trouble.NETWORK
        return ChannelSign(
            name=self._channel,
            heard_at=self._health.heard_at,
            trouble=str(trouble) if trouble is not None else None,
        )

    def stuck_for(self) -> timedelta | None:
        """How long a question to Telegram has taken that should be over; None when all is well."""
        return self._poller.stuck_for() if self._poller is not None else None

    @asynccontextmanager
    async def running(self, api: Connection) -> AsyncIterator[None]:
        """Take updates in for the duration of the block.

        Leaving it interrupts the question that is under way: nothing unconfirmed is harmed.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._inbox.introduce, api.call, name="telegram name")
            tasks.start_soon(self._take_in, api, name="telegram updates")
            tasks.start_soon(self._inbox.give_out, name="telegram groups")
            tasks.start_soon(self._inbox.prune, name="telegram pruning")
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                self._inbox.close()

    async def _take_in(self, api: Connection) -> None:
        # What is stored comes first: it is older than all that Telegram still has.
        while True:
            try:
                await self._inbox.reread()
            except StorageUnavailable as error:
                self._health.trouble(Trouble.STORAGE)
                _log.warning("telegram.notes_not_read", error=str(error))
                await self._clock.sleep(_PAUSE)
            else:
                break
        webhook = self._config.webhook
        if webhook is not None:
            # Here: uvicorn is an extra that only this needs.
            from galaxy_adapters.channel_telegram._webhook import Webhook  # noqa: PLC0415

            await Webhook(webhook, api.call, self._inbox, self._clock, self._health).run()
        self._poller = Poller(
            api.call, self._inbox, self._clock, self._health, self._config.poll_timeout
        )
        await self._poller.run()
