"""Everything around the courier, in memory: what outlives it, and a courier to start and kill."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.domain.status import Notice, Rates
from galaxy_core.services.courier import Courier, CourierConfig, CourierPorts, Mailbox
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_letter
from galaxy_core.testing.faults import Crash
from galaxy_core.testing.memory import (
    AuditLines,
    ChatService,
    Faults,
    LetterBox,
    ManualClock,
    MemoryAuditSink,
    MemoryChannel,
    MemoryNoteStore,
    MemoryOutbox,
    NoteBox,
    SentPart,
)

LIMIT = 5_000
"""Rounds of the loop after which a test that waits for something gives up."""


def chat(number: int | str = 1, *, topic: str | None = None, channel: str = "memory") -> Address:
    """A chat's address."""
    return Address(channel=channel, chat_id=f"chat-{number}", topic=topic)


def seconds(number: float) -> timedelta:
    """So many seconds."""
    return timedelta(seconds=number)


@define(eq=False, slots=False)  # `super` finds no slotted class from within a decorator
class CountingFaults(Faults):
    """Counts all operations, reads too."""

    operations: list[str] = field(factory=list)

    @asynccontextmanager
    async def around(self, operation: str, *, is_write: bool = True) -> AsyncIterator[None]:
        """Run one operation, counted."""
        self.operations.append(operation)
        async with super().around(operation, is_write=is_write):
            yield


@define(eq=False)
class World:
    """One gateway's surroundings, with two machines' outboxes."""

    rates: Rates = field(factory=Rates)
    part_characters: int = 4096
    clock: ManualClock = field(factory=ManualClock)
    faults: Faults = field(factory=Faults)
    service: ChatService = field(factory=ChatService)
    notes: NoteBox = field(factory=NoteBox)
    home: LetterBox = field(factory=LetterBox)
    other: LetterBox = field(factory=LetterBox)
    home_lines: AuditLines = field(factory=AuditLines)
    other_lines: AuditLines = field(factory=AuditLines)
    people: list[Address] = field(factory=lambda: [chat()])
    owners: list[Address] = field(factory=lambda: [chat("owner")])
    groups: set[str] = field(factory=set)
    told: list[tuple[str, tuple[Receipt, ...]]] = field(factory=list)
    """What `on_delivered` was called with."""
    config: CourierConfig = field(
        factory=lambda: CourierConfig(
            default_channel="memory",
            retry=RetryPolicy(first=seconds(1), factor=2.0, jitter=0.0),
            stop_deadline=timedelta(milliseconds=50),
        )
    )

    def channel(self) -> MemoryChannel:
        """A new process's connection to the channel."""
        return MemoryChannel(
            self.clock,
            self.service,
            part_characters=self.part_characters,
            faults=self.faults,
            rates=self.rates,
        )

    def outbox(self, box: LetterBox | None = None) -> MemoryOutbox:
        """A new process's view of an outbox."""
        return MemoryOutbox(self.clock, self.home if box is None else box, faults=self.faults)

    def courier(self, channel: MemoryChannel | None = None) -> Courier:
        """A new process's courier."""
        return Courier(
            CourierPorts(
                channels={"memory": channel or self.channel()},
                mailboxes=[
                    Mailbox(
                        name="home",
                        outbox=self.outbox(),
                        trail=MemoryAuditSink(self.home_lines, faults=self.faults),
                        root=Path("/srv/home"),
                    ),
                    Mailbox(
                        name="other",
                        outbox=self.outbox(self.other),
                        trail=MemoryAuditSink(self.other_lines, faults=self.faults),
                        root=Path("/srv/other"),
                    ),
                ],
                notes=MemoryNoteStore(self.clock, self.notes, faults=self.faults),
                clock=self.clock,
                recipients=lambda: self.people,
                owners=lambda: self.owners,
                is_group=lambda address: address.chat_id in self.groups,
                on_delivered=self._hear,
            ),
            self.config,
        )

    async def _hear(self, letter: Letter, receipts: tuple[Receipt, ...]) -> None:
        async with self.faults.around("listener.delivered"):
            self.told.append((letter.name, receipts))

    @asynccontextmanager
    async def running(self, channel: MemoryChannel | None = None) -> AsyncIterator[Courier]:
        """A courier that runs in the background and is stopped at the end."""
        courier = self.courier(channel)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(courier.run)
            await settle()
            yield courier
            tasks.cancel_scope.cancel()

    async def run_until_killed(self, work: Callable[[Courier], None] = lambda _: None) -> bool:
        """Run a courier until it has nothing more to do; True when a planned crash killed it.

        Time passes meanwhile.
        """
        courier = self.courier()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(courier.run)
                work(courier)
                for _ in range(20):
                    await self.elapse(60)
                    if not (self.home.waiting or self.open_notes("sending")):
                        break
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            crashes, others = group.split(Crash)
            if others is not None:
                raise
            assert crashes is not None
            return True
        return False

    async def post(self, *letters: Letter, box: LetterBox | None = None) -> None:
        """Put letters into an outbox, without anything going wrong."""
        outbox = MemoryOutbox(self.clock, self.home if box is None else box)
        for letter in letters:
            await outbox.post(letter)

    async def elapse(self, number: float) -> None:
        """Let so many seconds pass."""
        await self.clock.elapse(seconds(number))
        await settle(100)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let tasks run until the condition holds."""
        for _ in range(LIMIT):
            if condition():
                return
            await anyio.lowlevel.checkpoint()
        raise AssertionError("it never came to that")

    def parts(self, name: str) -> list[SentPart]:
        """What was sent of a letter."""
        return [part for part in self.service.sent if part.letter.name == name]

    def names(self) -> list[str]:
        """Names of the letters that were sent, part by part."""
        return [part.letter.name for part in self.service.sent]

    def lines(self, event_type: str, lines: AuditLines | None = None) -> list[AuditEvent]:
        """Lines of the trail of one type."""
        records = (self.home_lines if lines is None else lines).records
        return [record.event for record in records if record.event.event_type == event_type]

    def open_notes(self, kind: str) -> list[str]:
        """Keys of the notes of a kind that are not closed."""
        return [k for k, kept in self.notes.kinds.get(kind, {}).items() if kept.text is not None]


def letter(name: str, number: int | str = 1, message: str = "Hello", **more: object) -> Letter:
    """A letter to a chat."""
    return make_letter(name=name, chat_id=f"chat-{number}", message=message, **more)


def notice(text: str) -> Notice:
    """A card with that text."""
    return Notice(text=text)
