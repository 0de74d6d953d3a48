"""The Telegram channel under the suites of its ports, on the local Bot API server."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from galaxy_adapters.channel_telegram import OutgoingRules, TelegramChannel, TelegramConfig
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.ports.reporting import Reporting
from galaxy_core.testing.bot_api import BotApiServer, Fault, Seen
from galaxy_core.testing.contracts import (
    ChannelContract,
    ChannelHarness,
    CommandMenuContract,
    Harness,
    MenuHarness,
    ReportingContract,
    ReportingHarness,
)
from galaxy_core.testing.contracts.command_menu import PERSON
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink, MemoryNoteStore

Port = TypeVar("Port")


class TelegramHarness(Harness[Port]):
    """A bot, one process after the other, and Ann, who writes to it."""

    def __init__(self, server: BotApiServer, processes: AsyncExitStack, files: Path) -> None:
        self.clock = ManualClock()
        self.server = server
        self.ann = server.person("Ann", user_id=int(PERSON))
        self.files_folder = files
        self._processes = processes
        self._notes = MemoryNoteStore(self.clock)

    async def connect(self, poll_timeout: timedelta = timedelta(seconds=8)) -> TelegramChannel:
        config = TelegramConfig(
            token=self.server.token,
            base_url=self.server.base_url,
            base_file_url=self.server.base_file_url,
            outgoing=OutgoingRules(roots=(self.files_folder,)),
            patience=timedelta(seconds=5),
            poll_timeout=poll_timeout,
        )
        channel = TelegramChannel(config, self._notes, self.clock, MemoryIncidentSink())
        return await self._processes.enter_async_context(channel)

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        await self.clock.elapse(duration)

    async def restart(self) -> None:
        await self._processes.aclose()


class TelegramChannelHarness(TelegramHarness[Channel], ChannelHarness):
    """The chat between Ann and the bot."""

    channel = "telegram"
    chat = PERSON

    async def open(self) -> Channel:
        return await self.connect()

    async def say(self, text: str) -> None:
        self.ann.writes(text)

    async def texts(self) -> Sequence[str]:
        return [_as_read(message) for message in self.server.sent(self.ann)]

    async def press(self, data: str) -> None:
        message = next(m for m in reversed(self.server.sent(self.ann)) if data in _data(m))
        self.ann.presses(message, data)

    async def buttons(self) -> Sequence[Sequence[str]]:
        return [_data(message) for message in self.server.sent(self.ann)]

    async def send_file(self, name: str, content: bytes) -> None:
        self.ann.sends_document(name, content)

    async def files(self) -> Sequence[str]:
        return [file.name for message in self.server.sent(self.ann) for file in message.files]

    async def delete(self, message_id: str) -> None:
        self.ann.chat.messages[int(message_id)].is_deleted = True

    async def make_unreachable(self) -> None:
        self.ann.blocks()

    async def refuse_once(self, retry_after: timedelta) -> None:
        seconds = int(retry_after.total_seconds())
        self.server.plan(Fault("flood", retry_after=seconds))

    async def lose_answer_once(self) -> None:
        self.server.plan(Fault("cut_after"))


def _as_read(message: Seen) -> str:
    return message.text + "".join(file.content.decode() for file in message.files)


def _data(message: Seen) -> list[str]:
    return [button.data or "" for row in message.buttons for button in row]


class TelegramMenuHarness(TelegramHarness[CommandMenu], MenuHarness):
    """The bot's menus; everybody in the suite has written to it."""

    async def open(self) -> CommandMenu:
        self.server.person("Ben", user_id=88)
        return await self.connect()

    async def menu_of(self, person: str) -> Sequence[MenuEntry]:
        commands = self.server.state.commands
        shown = commands.get(f"chat {person}", commands.get("default", []))
        return [MenuEntry(entry["command"], entry["description"]) for entry in shown]

    async def refuse_once(self, retry_after: timedelta) -> None:
        seconds = int(retry_after.total_seconds())
        self.server.plan(Fault("flood", method="setMyCommands", retry_after=seconds))


class TelegramReportingHarness(TelegramHarness[Reporting], ReportingHarness):
    """A server that refuses questions for messages; it holds none for long."""

    name = "telegram"
    is_broken = False
    bot: TelegramChannel | None = None

    async def open(self) -> Reporting:
        self.bot = await self.connect(poll_timeout=timedelta(seconds=1))
        return self.bot

    async def break_way(self) -> None:
        self.server.plan(Fault("error", method="getUpdates", times=None))
        self.is_broken = True

    async def mend_way(self) -> None:
        self.server.heal()
        self.is_broken = False
        await self.elapse(timedelta(minutes=1))  # the longest pause between two tries

    async def pause(self) -> None:
        await anyio.sleep(0.01)

    async def elapse(self, duration: timedelta) -> None:
        # Calls take real time: the clock stands still until the channel has met the trouble.
        while self.is_broken and self.bot is not None and not self.bot._receiving._health._since:
            await self.pause()
        await self.clock.elapse(duration)


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A server with nobody on it."""
    async with BotApiServer() as server:
        yield server


@pytest.fixture
async def processes() -> AsyncIterator[AsyncExitStack]:
    """What is open when the test ends is closed."""
    async with AsyncExitStack() as stack:
        yield stack


class TestTelegramChannel(ChannelContract):
    """Both directions."""

    @pytest.fixture
    def harness(
        self, server: BotApiServer, processes: AsyncExitStack, tmp_path: Path
    ) -> TelegramChannelHarness:
        """Give an empty chat."""
        return TelegramChannelHarness(server, processes, tmp_path)


class TestTelegramCommandMenu(CommandMenuContract):
    """The list of commands."""

    @pytest.fixture
    def harness(
        self, server: BotApiServer, processes: AsyncExitStack, tmp_path: Path
    ) -> TelegramMenuHarness:
        """Give a bot without a menu."""
        return TelegramMenuHarness(server, processes, tmp_path)


class TestTelegramReporting(ReportingContract):
    """How the bot gets on with Telegram."""

    @pytest.fixture
    def harness(
        self, server: BotApiServer, processes: AsyncExitStack, tmp_path: Path
    ) -> TelegramReportingHarness:
        """Give a bot that can reach Telegram."""
        return TelegramReportingHarness(server, processes, tmp_path)
