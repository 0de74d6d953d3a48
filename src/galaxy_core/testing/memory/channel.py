"""A channel whose people are a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint
from attrs import define, field, frozen

from galaxy_core.domain.errors import ChatUnreachable, PermanentError, TransientError
from galaxy_core.domain.letter import Buttons, Letter, Receipt
from galaxy_core.domain.message import Address, Inbound, RemoteFile
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.domain.status import Card, Hint, Notice, Rates
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.ports.reporting import Reporting
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal

REPEAT_MARK = "(perhaps a repeat) "
"""Stands before a part that may have been delivered before."""


@frozen
class SentPart:
    """What a chat was sent."""

    address: Address
    text: str
    """As people read it."""
    letter: Letter
    receipt: Receipt
    is_repeat: bool = False
    files: tuple[str, ...] = ()
    buttons: Buttons = ()

    @property
    def chat_id(self) -> str:
        """The chat, without its topic."""
        return self.address.chat_id


@frozen
class ShownCard:
    """What one message of ours shows now."""

    address: Address
    card: Card


@define(eq=False)
class ChatService:
    """The other side: keeps messages until they are confirmed, and shows what was sent."""

    changes: Signal = field(factory=Signal)
    messages: dict[str, Inbound] = field(factory=dict)
    """What people said and pressed, by key, until it is confirmed."""
    files: dict[str, bytes] = field(factory=dict)
    """Files that people sent, by the id of `RemoteFile`."""
    sent: list[SentPart] = field(factory=list)
    """Letters, part by part, oldest first."""
    cards: dict[str, ShownCard] = field(factory=dict)
    """What is shown now, by message id; delete one and it is gone for the person."""
    hints: list[tuple[Address, Hint]] = field(factory=list)
    """Every hint that was given, oldest first."""
    blocked: set[str] = field(factory=set)
    """Chats that can never be reached."""
    trouble: str | None = None
    """Why nothing gets through now, in a word; None while all is well."""
    menu: Sequence[MenuEntry] = field(default=())
    """What everyone is shown."""
    menus: dict[str, Sequence[MenuEntry]] = field(factory=dict)
    """What single people are shown, by id."""
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1), init=False)

    def break_way(self, trouble: str = "network") -> None:
        """Nothing gets through from now on."""
        self.trouble = trouble

    def mend_way(self) -> None:
        """Everything gets through again."""
        self.trouble = None
        self.changes.notify()

    def push(self, inbound: Inbound) -> None:
        """A person says or presses something."""
        self.messages.setdefault(inbound.key, inbound)
        self.changes.notify()

    def new_id(self) -> str:
        """Id of one more message of ours."""
        return str(next(self._ids))

    def texts(self, chat_id: str) -> list[str]:
        """What the chat shows now, oldest first: letters and cards."""
        shown = {
            int(message_id): card_text(shown.card)
            for message_id, shown in self.cards.items()
            if shown.address.chat_id == chat_id
        }
        for part in self.sent:
            if part.chat_id == chat_id:
                shown |= {int(message_id): part.text for message_id in part.receipt.message_ids}
        return [shown[number] for number in sorted(shown)]


def card_text(card: Card) -> str:
    """A card in words, for tests."""
    if isinstance(card, Notice):
        return card.text
    words = [card.order_id, card.state, card.machine]
    if card.place is not None:
        words.append(f"place {card.place}")
    if card.progress is not None:
        words += [card.progress.tool or "", *(todo.content for todo in card.progress.todos)]
    return " ".join(filter(None, words))


@define(eq=False)
class MemoryChannel(Channel, CommandMenu, Reporting):
    """One process's connection to a `ChatService`; operations are named `channel.<method>`.

    A lost answer is `faults.fail("channel.send", DeliveryUnknown(...), is_done=True)`.
    """

    _clock: Clock
    service: ChatService = field(factory=ChatService)
    name: str = field(default="memory", kw_only=True)
    part_characters: int = field(default=4096, kw_only=True)
    """Longest text of one part."""
    faults: Faults = field(factory=Faults, kw_only=True)
    _rates: Rates = field(factory=Rates, kw_only=True)
    _given: set[str] = field(factory=set, init=False)
    _heard_at: datetime | None = field(default=None, init=False)

    def rates(self) -> Rates:
        return self._rates

    def sign(self) -> ChannelSign:
        trouble = self.service.trouble
        if trouble is None:
            self._heard_at = self._clock.now()
        return ChannelSign(name=self.name, heard_at=self._heard_at, trouble=trouble)

    async def receive(self) -> Inbound:
        await checkpoint()
        while True:
            changed = self.service.changes.next_change
            is_cut_off = self.service.trouble is not None
            messages: Mapping[str, Inbound] = {} if is_cut_off else self.service.messages
            for key, message in messages.items():
                if key not in self._given:
                    self._given.add(key)
                    return message
            await changed.wait()

    async def confirm(self, inbound: Inbound) -> None:
        async with self.faults.around("channel.confirm"):
            self.service.messages.pop(inbound.key, None)

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        async with self.faults.around("channel.fetch"):
            self._get_through()
            content = self.service.files.get(file.id)
            if content is None:
                raise PermanentError("the file is not there any more")
            await anyio.Path(target.parent).mkdir(parents=True, exist_ok=True)
            await anyio.Path(target).write_bytes(content)

    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        async with self.faults.around("channel.send"):
            self._reach(address)
            size = self.part_characters
            parts = max(1, -(-len(letter.message) // size))
            if not 1 <= part <= parts:
                raise PermanentError(f"letter {letter.name} has {parts} parts, not {part}")
            is_last = part == parts
            receipt = Receipt(
                channel=self.name,
                chat_id=address.chat_id,
                message_ids=(self.service.new_id(),),
                at=self._clock.now(),
                part=part,
                is_last=is_last,
            )
            text = letter.message[(part - 1) * size : part * size]
            sent = SentPart(
                address=address,
                text=REPEAT_MARK + text if is_repeat else text,
                letter=letter,
                receipt=receipt,
                is_repeat=is_repeat,
                files=letter.files if is_last else (),
                buttons=letter.buttons if is_last else (),
            )
            self.service.sent.append(sent)
            return receipt

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        async with self.faults.around("channel.show"):
            self._reach(address)
            if message_id not in self.service.cards:
                message_id = self.service.new_id()
            self.service.cards[message_id] = ShownCard(address, card)
            return message_id

    async def hint(self, hint: Hint, address: Address) -> None:
        async with self.faults.around("channel.hint", is_write=False):
            self._get_through()
            if address.chat_id not in self.service.blocked:
                self.service.hints.append((address, hint))

    async def publish(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        async with self.faults.around("channel.publish"):
            self._get_through()
            self.service.menu = tuple(everyone)
            self.service.menus = {person: tuple(menu) for person, menu in people.items()}

    def _reach(self, address: Address) -> None:
        self._get_through()
        if address.chat_id in self.service.blocked:
            raise ChatUnreachable(f"chat {address.chat_id} cannot be reached")

    def _get_through(self) -> None:
        if self.service.trouble is not None:
            raise TransientError(f"nothing gets through: {self.service.trouble}")
