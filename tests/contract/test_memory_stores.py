"""The smaller adapters in memory, each under the suite of its port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from galaxy_core.domain.errors import DeliveryUnknown, TransientError
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.letter import Buttons
from galaxy_core.domain.message import FileKind, RemoteFile
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.ports.outbox import Outbox
from galaxy_core.testing.contracts import (
    AuditContract,
    AuditHarness,
    ChannelContract,
    ChannelHarness,
    ClockContract,
    CommandMenuContract,
    ControlContract,
    IncidentHarness,
    IncidentSinkContract,
    MenuHarness,
    OrderFilesContract,
    OrderFilesHarness,
    OutboxContract,
    OutboxHarness,
    PresenceContract,
    ProgressFeedContract,
    ResponseStoreContract,
    RunJournalContract,
    SessionStoreContract,
)
from galaxy_core.testing.factories import make_message, make_press
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory import (
    AuditLines,
    ChatService,
    CommandBox,
    LetterBox,
    ManualClock,
    MemoryAuditSink,
    MemoryAuditTrail,
    MemoryChannel,
    MemoryControl,
    MemoryIncidentSink,
    MemoryOrderFiles,
    MemoryOutbox,
    MemoryPresence,
    MemoryProgressFeed,
    MemoryResponseStore,
    MemoryRunJournal,
    MemorySessionStore,
)
from tests.contract.memory_harness import MemoryHarness


class TestMemoryResponseStore(ResponseStoreContract):
    """Responses."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryResponseStore]:
        """Give an empty store."""
        first = MemoryResponseStore()
        return MemoryHarness(lambda its: MemoryResponseStore(first.responses, faults=its.faults))


class TestMemorySessionStore(SessionStoreContract):
    """Sessions."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemorySessionStore]:
        """Give an empty store."""
        first = MemorySessionStore()
        return MemoryHarness(lambda its: MemorySessionStore(first.sessions, faults=its.faults))


class TestMemoryRunJournal(RunJournalContract):
    """The run journal."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryRunJournal]:
        """Give an empty journal."""
        first = MemoryRunJournal()
        return MemoryHarness(lambda its: MemoryRunJournal(first.records, faults=its.faults))


class TestMemoryControl(ControlContract):
    """Commands."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryControl]:
        """Give an empty box."""
        box = CommandBox()
        return MemoryHarness(lambda its: MemoryControl(its.clock, box, faults=its.faults))


class TestMemoryProgressFeed(ProgressFeedContract):
    """Progress."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryProgressFeed]:
        """Give an empty feed, which all processes share."""
        faults = Faults()
        feed = MemoryProgressFeed(ManualClock(), faults=faults)
        return MemoryHarness(lambda _: feed, faults)


class TestMemoryPresence(PresenceContract):
    """Heartbeats."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[MemoryPresence]:
        """Give a machine on which nothing ran yet; all processes share its one heartbeat."""
        faults = Faults()
        presence = MemoryPresence(faults=faults)
        return MemoryHarness(lambda _: presence, faults)


class TestManualClock(ClockContract):
    """The clock that tests move."""

    @pytest.fixture
    def harness(self) -> MemoryHarness[ManualClock]:
        """Give the clock that the harness itself moves."""
        return MemoryHarness(lambda its: its.clock)


class MemoryOutboxHarness(MemoryHarness[Outbox], OutboxHarness):
    """A letter box, opened by several processes."""

    def __init__(self) -> None:
        self.box = LetterBox()
        super().__init__(lambda _: MemoryOutbox(self.clock, self.box, faults=self.faults))

    async def sent(self) -> Sequence[str]:
        return list(self.box.sent)

    async def undeliverable(self) -> dict[str, str]:
        return {name: reason for name, (_, reason) in self.box.undeliverable.items()}


class TestMemoryOutbox(OutboxContract):
    """Letters."""

    @pytest.fixture
    def harness(self) -> MemoryOutboxHarness:
        """Give an empty outbox."""
        return MemoryOutboxHarness()


class MemoryAuditHarness(MemoryHarness[AuditSink], AuditHarness):
    """Lines that several writers add to, and that somebody tampers with."""

    def __init__(self) -> None:
        self.lines = AuditLines()
        super().__init__(lambda _: MemoryAuditSink(self.lines, faults=self.faults))

    async def trail(self) -> AuditTrail:
        return MemoryAuditTrail(self.lines)

    async def change_line(self, number: int) -> None:
        record = self.lines.records[number - 1]
        forged = evolve(record, event=evolve(record.event, machine="forged"))
        self.lines.records[number - 1] = forged

    async def remove_line(self, number: int) -> None:
        del self.lines.records[number - 1]

    async def swap_lines(self, first: int, second: int) -> None:
        records = self.lines.records
        records[first - 1], records[second - 1] = records[second - 1], records[first - 1]


class TestMemoryAudit(AuditContract):
    """The audit trail, both ends."""

    @pytest.fixture
    def harness(self) -> MemoryAuditHarness:
        """Give an empty trail."""
        return MemoryAuditHarness()


class MemoryIncidentHarness(MemoryHarness[IncidentSink], IncidentHarness):
    """A list of incidents."""

    def __init__(self) -> None:
        self.sink = MemoryIncidentSink()
        super().__init__(lambda _: self.sink)

    async def reported(self) -> Sequence[Incident]:
        return self.sink.incidents


class TestMemoryIncidentSink(IncidentSinkContract):
    """Incidents."""

    @pytest.fixture
    def harness(self) -> MemoryIncidentHarness:
        """Give an empty list."""
        return MemoryIncidentHarness()


class MemoryOrderFilesHarness(MemoryHarness[OrderFiles], OrderFilesHarness):
    """Folders that all processes share."""

    def __init__(self) -> None:
        self.files = MemoryOrderFiles()
        super().__init__(lambda _: MemoryOrderFiles(self.files.folders, self.files.links))

    def put(self, folder: Path, name: str) -> None:
        self.files.put(folder, name)


class TestMemoryOrderFiles(OrderFilesContract):
    """Orders' files."""

    @pytest.fixture
    def harness(self) -> MemoryOrderFilesHarness:
        """Give a machine without files."""
        return MemoryOrderFilesHarness()


class MemoryChannelHarness(MemoryHarness[Channel], ChannelHarness):
    """A chat service with one chat."""

    def __init__(self) -> None:
        self.service = ChatService()
        super().__init__(lambda _: MemoryChannel(self.clock, self.service, faults=self.faults))

    async def say(self, text: str) -> None:
        self.service.push(make_message(text=text, chat_id=self.chat))

    async def texts(self) -> Sequence[str]:
        return self.service.texts(self.chat)

    async def press(self, data: str) -> None:
        part = next(part for part in reversed(self.service.sent) if data in _data(part.buttons))
        message_id = part.receipt.message_ids[-1]
        self.service.push(make_press(data=data, chat_id=self.chat, message_id=message_id))

    async def buttons(self) -> Sequence[Sequence[str]]:
        shown = {part.receipt.message_ids[0]: part.buttons for part in self.service.sent}
        shown |= {name: card.card.buttons for name, card in self.service.cards.items()}
        return [_data(shown[name]) for name in sorted(shown, key=int)]

    async def send_file(self, name: str, content: bytes) -> None:
        self.service.files[name] = content
        file = RemoteFile(id=name, kind=FileKind.DOCUMENT, name=name, size=len(content))
        self.service.push(make_message(text="", chat_id=self.chat, files=(file,)))

    async def files(self) -> Sequence[str]:
        return [Path(path).name for part in self.service.sent for path in part.files]

    async def delete(self, message_id: str) -> None:
        del self.service.cards[message_id]

    async def make_unreachable(self) -> None:
        self.service.blocked.add(self.chat)

    async def refuse_once(self, retry_after: timedelta) -> None:
        error = TransientError("too many messages", retry_after=retry_after)
        self.faults.fail("channel.send", error)

    async def lose_answer_once(self) -> None:
        self.faults.fail("channel.send", DeliveryUnknown("no answer came"), is_done=True)


def _data(buttons: Buttons) -> list[str]:
    return [button.data for row in buttons for button in row]


class TestMemoryChannel(ChannelContract):
    """A channel whose people are a test."""

    @pytest.fixture
    def harness(self) -> MemoryChannelHarness:
        """Give an empty chat."""
        return MemoryChannelHarness()


class MemoryMenuHarness(MemoryHarness[CommandMenu], MenuHarness):
    """The menus of a chat service."""

    def __init__(self) -> None:
        self.service = ChatService()
        super().__init__(lambda _: MemoryChannel(self.clock, self.service, faults=self.faults))

    async def menu_of(self, person: str) -> Sequence[MenuEntry]:
        return self.service.menus.get(person, self.service.menu)

    async def refuse_once(self, retry_after: timedelta) -> None:
        error = TransientError("too many calls", retry_after=retry_after)
        self.faults.fail("channel.publish", error)


class TestMemoryCommandMenu(CommandMenuContract):
    """Menus of a channel whose people are a test."""

    @pytest.fixture
    def harness(self) -> MemoryMenuHarness:
        """Give a service without a menu."""
        return MemoryMenuHarness()
