"""A channel whose people are a test."""

from __future__ import annotations

from collections.abc import Mapping

from anyio.lowlevel import checkpoint
from attrs import define, field, frozen

from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.operations import Progress
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal


@frozen
class SentPart:
    """What a chat was sent."""

    chat_id: str
    text: str
    letter: Letter
    receipt: Receipt


@define(eq=False)
class ChatService:
    """The other side: keeps messages until they are confirmed, and shows what was sent."""

    changes: Signal = field(factory=Signal)
    messages: dict[str, InboundMessage] = field(factory=dict)
    sent: list[SentPart] = field(factory=list)
    shown: dict[str, Progress] = field(factory=dict)
    """What each chat shows now."""
    blocked: set[str] = field(factory=set)
    """Chats that can never be reached."""

    def push(self, message: InboundMessage) -> None:
        """A person says something."""
        self.messages.setdefault(message.key, message)
        self.changes.notify()

    def texts(self, chat_id: str) -> list[str]:
        """What the chat was sent, oldest first."""
        return [part.text for part in self.sent if part.chat_id == chat_id]


@define(eq=False)
class MemoryChannel(Channel):
    """One process's connection to a `ChatService`; writes are named `channel.<method>`."""

    _clock: Clock
    service: ChatService = field(factory=ChatService)
    _name: str = field(default="memory", kw_only=True)
    part_characters: int = field(default=4096, kw_only=True)
    """Longest text of one part."""
    faults: Faults = field(factory=Faults, kw_only=True)
    _given: set[str] = field(factory=set, init=False)

    @property
    def name(self) -> str:
        return self._name

    async def receive(self) -> InboundMessage:
        await checkpoint()
        while True:
            changed = self.service.changes.next_change
            messages: Mapping[str, InboundMessage] = self.service.messages
            for key, message in messages.items():
                if key not in self._given:
                    self._given.add(key)
                    return message
            await changed.wait()

    async def confirm(self, message: InboundMessage) -> None:
        async with self.faults.around("channel.confirm"):
            self.service.messages.pop(message.key, None)

    async def send(self, letter: Letter, chat_id: str, *, part: int = 1) -> Receipt:
        async with self.faults.around("channel.send"):
            if chat_id in self.service.blocked:
                raise PermanentError(f"chat {chat_id} cannot be reached")
            size = self.part_characters
            parts = max(1, -(-len(letter.message) // size))
            if not 1 <= part <= parts:
                raise PermanentError(f"letter {letter.name} has {parts} parts, not {part}")
            receipt = Receipt(
                channel=self.name,
                chat_id=chat_id,
                message_ids=(str(len(self.service.sent) + 1),),
                at=self._clock.now(),
                part=part,
                is_last=part == parts,
            )
            text = letter.message[(part - 1) * size : part * size]
            self.service.sent.append(SentPart(chat_id, text, letter, receipt))
            return receipt

    async def show(self, progress: Progress, chat_id: str) -> None:
        await checkpoint()
        if chat_id not in self.service.blocked:
            self.service.shown[chat_id] = progress
