"""What stands in for the gateway behind the Telegram channel's way in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio

from galaxy_adapters.channel_telegram import TelegramConfig
from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_adapters.clock_system import SystemClock
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.message import Inbound, InboundMessage
from galaxy_core.testing.bot_api import BotApiServer
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink
from galaxy_core.testing.memory.note_store import MemoryNoteStore, NoteBox

SOON = 8.0
QUIET = 0.4


class Incidents(MemoryIncidentSink):
    """Can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.reported = anyio.Event()

    def report(self, incident: Incident) -> None:
        """Keep it, and wake whoever waits."""
        super().report(incident)
        self.reported.set()


class Gateway:
    """What stands in for the gateway, one process of it after another."""

    def __init__(self, server: BotApiServer) -> None:
        self.server = server
        self.box = NoteBox()
        self.faults = Faults()
        self.incidents = Incidents()
        self.config = TelegramConfig(
            token=server.token,
            base_url=server.base_url,
            base_file_url=server.base_file_url,
            poll_timeout=timedelta(seconds=5),
            patience=timedelta(seconds=2),
        )

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Receiving]:
        """One life of it; what is left lies in the box."""
        clock = SystemClock()
        notes = MemoryNoteStore(clock, self.box, faults=self.faults)
        receiving = Receiving(self.config, "telegram", notes, clock, self.incidents)
        async with BotApi(self.config) as api, receiving.running(api):
            yield receiving


async def get(receiving: Receiving) -> Inbound:
    """What comes next."""
    with anyio.fail_after(SOON):
        return await receiving.receive()


async def message(receiving: Receiving) -> InboundMessage:
    """The same, a message."""
    inbound = await get(receiving)
    assert isinstance(inbound, InboundMessage)
    return inbound


async def nothing(receiving: Receiving) -> bool:
    """Whether nothing comes for a while."""
    with anyio.move_on_after(QUIET):
        await receiving.receive()
        return False
    return True
