"""A gateway between a chat and a machine, all of it in memory, to be started and killed."""

# ruff: noqa: ANN401 - overrides are whatever GatewayConfig and messages take

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from attrs import define, evolve, field

from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.letter import Button
from galaxy_core.domain.message import ButtonPressed, FileKind, InboundMessage, RemoteFile
from galaxy_core.domain.people import Person, Role
from galaxy_core.domain.run import PermissionRequested, Question, QuestionAsked, TextAppended
from galaxy_core.domain.status import PressAnswered
from galaxy_core.ports.transcriber import Transcriber
from galaxy_core.services.anchoring import AnchorDesk
from galaxy_core.services.courier import Mailbox
from galaxy_core.services.desk import OrderDesk
from galaxy_core.services.gateway.caduceus import Caduceus
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts, MachinePorts
from galaxy_core.services.trail import Trail
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_message, make_press
from galaxy_core.testing.faults import Crash, Faults
from galaxy_core.testing.memory import (
    AuditLines,
    ChatService,
    LetterBox,
    ManualClock,
    MemoryAuditSink,
    MemoryAuditTrail,
    MemoryChannel,
    MemoryControl,
    MemoryNoteStore,
    MemoryOrderQueue,
    MemoryOutbox,
    NoteBox,
)
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_core.services.world import World

OWNER, OPERATOR, VIEWER, STRANGER = "owner-1", "operator-1", "viewer-1", "stranger-1"
GROUP = "group-1"
PEOPLE = (
    Person(channel="memory", id=OWNER, role=Role.OWNER, name="Olga"),
    Person(channel="memory", id=OPERATOR, role=Role.OPERATOR, name="Otto"),
    Person(channel="memory", id=VIEWER, role=Role.VIEWER, name="Vera"),
)
PERMISSION = PermissionRequested(
    request_id=RequestId("per_1"), permission="bash", patterns=("rm x",), title="rm x"
)
DONE = TextAppended(text="done", part="p")
PHOTO = RemoteFile(id="file-1", kind=FileKind.PHOTO)


def asking(*questions: Question) -> QuestionAsked:
    """An agent that wants to know something."""
    return QuestionAsked(request_id=RequestId("que_1"), questions=questions)


@define
class GatewayWorld:
    """Machines with their Hermes, a chat service, and what the gateway keeps."""

    folder: Path
    names: tuple[str, ...] = ("lab",)
    clock: ManualClock = field(factory=ManualClock)
    faults: Faults = field(factory=Faults)
    """Of everything that the gateway writes; Hermes has faults of its own."""
    service: ChatService = field(factory=ChatService)
    notes: NoteBox = field(factory=NoteBox)
    letters: LetterBox = field(factory=LetterBox)
    lines: AuditLines = field(factory=AuditLines)
    transcriber: Transcriber | None = None
    anchors: AnchorDesk | None = None
    is_shared: bool = False
    """Whether the machines have one folder, whose orders the first one's Hermes runs."""
    config: GatewayConfig = field(
        factory=lambda: GatewayConfig(
            home="home",
            people=PEOPLE,
            default_channel="memory",
            groups=frozenset({("memory", GROUP)}),
        )
    )
    machines: dict[str, World] = field(init=False)
    _starts: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.machines = {name: World(clock=self.clock) for name in self.names}
        for name, machine in self.machines.items():
            machine.config = evolve(machine.config, machine=name, directory=self.folder)
        if self.is_shared:
            self.machines = dict.fromkeys(self.names, self.lab)

    @property
    def lab(self) -> World:
        """The default machine."""
        return next(iter(self.machines.values()))

    def caduceus(self, **overrides: Any) -> Caduceus:
        """A new gateway process."""
        self._starts += 1
        channel = MemoryChannel(self.clock, self.service, faults=self.faults)
        notes = MemoryNoteStore(self.clock, self.notes, faults=self.faults)
        outbox = MemoryOutbox(self.clock, self.letters, faults=self.faults)
        audit = MemoryAuditSink(self.lines, faults=self.faults)
        mailboxes = [Mailbox(name="home", outbox=outbox, trail=audit, root=self.folder)]
        for name, machine in {id(m): (n, m) for n, m in self.machines.items()}.values():
            mailboxes.append(
                Mailbox(
                    name=name,
                    outbox=MemoryOutbox(self.clock, machine.letters, faults=self.faults),
                    trail=MemoryAuditSink(machine.lines, faults=self.faults),
                    root=self.folder,
                )
            )
        ports = GatewayPorts(
            channels={"memory": channel},
            machines={
                name: self._machine(name, machine) for name, machine in self.machines.items()
            },
            mailboxes=mailboxes,
            notes=notes,
            clock=self.clock,
            menus={"memory": channel},
            transcriber=self.transcriber,
            anchors=self.anchors,
            home_trail=MemoryAuditTrail(self.lines),
        )
        return Caduceus(evolve(self.config, **overrides), ports)

    def _machine(self, name: str, machine: World) -> MachinePorts:
        audit = MemoryAuditSink(machine.lines, faults=self.faults)
        control = MemoryControl(self.clock, machine.box, faults=self.faults)
        desk = OrderDesk(
            queue=MemoryOrderQueue(machine.orders, f"gateway-{self._starts}"),
            catalogue=machine.catalogue,
            responses=machine.responses,
            outbox=MemoryOutbox(self.clock, machine.letters, faults=self.faults),
            journal=machine.journal,
            control=control,
            audit=audit,
            clock=self.clock,
            machine=name,
        )
        return MachinePorts(
            name=name,
            names=frozenset({name.casefold()}),
            layout=Layout(self.folder / ("shared" if self.is_shared else name)),
            desk=desk,
            catalogue=machine.catalogue,
            responses=machine.responses,
            sessions=machine.sessions,
            control=control,
            progress=machine.progress,
            presence=machine.presence,
            audit_trail=MemoryAuditTrail(machine.lines),
            trail=Trail(audit, self.clock, name),
        )

    # ---- running

    @asynccontextmanager
    async def running(self, *, with_hermes: bool = True, **overrides: Any) -> AsyncIterator[None]:
        """A gateway in the background, and Hermes on every machine."""
        caduceus = self.caduceus(**overrides)
        async with anyio.create_task_group() as tasks:
            places = {id(m): m for m in self.machines.values()}.values()
            hermeses = [m.hermes() for m in places] if with_hermes else []
            for hermes in hermeses:
                tasks.start_soon(hermes.run)
            tasks.start_soon(caduceus.run)
            await settle()
            yield
            caduceus.stop()
            for hermes in hermeses:
                hermes.stop()
                hermes.stop()
            await settle()

    async def run_until_killed(self, is_done: Callable[[], bool]) -> bool:
        """Run a gateway until it is done or a planned crash kills it; True when it was killed.

        Time passes meanwhile, so that what waits for a pause goes on.
        """
        caduceus = self.caduceus()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(caduceus.run)
                for _ in range(400):
                    await settle()
                    if is_done():
                        break
                    await self.clock.elapse(timedelta(seconds=2))
                else:
                    raise AssertionError("it never came to that")
                caduceus.stop()
        except BaseExceptionGroup as group:
            crashes, others = group.split(Crash)
            if others is not None:
                raise
            assert crashes is not None
            return True
        return False

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let tasks run, and time pass in small steps, until the condition holds."""
        for _ in range(300):
            await settle()
            if condition():
                return
            await self.clock.elapse(timedelta(milliseconds=200))
        raise AssertionError("it never came to that")

    # ---- people

    def say(
        self, text: str, *, by: str = OWNER, chat: str | None = None, **more: Any
    ) -> InboundMessage:
        """A person writes in their own chat, or in the one named."""
        values: dict[str, Any] = {
            "text": text,
            "sender_id": by,
            "chat_id": chat or by,
            "sent_at": self.clock.now(),
            "message_id": f"m{len(self.service.messages) + self.clock.monotonic():.0f}-{text[:9]}",
            "is_group": chat is not None,
        }
        message = make_message(**(values | more))
        self.service.push(message)
        return message

    def press(self, label: str, *, by: str = OWNER, chat: str | None = None) -> ButtonPressed:
        """A person presses the newest button that is called so in the chat."""
        place = chat or by
        pressed = make_press(
            sender_id=by,
            chat_id=place,
            data=self.button(label, place).data,
            sent_at=self.clock.now(),
            is_group=chat is not None,
        )
        self.service.push(pressed)
        return pressed

    def button(self, label: str, chat: str) -> Button:
        """The newest button that is called so."""
        for button in reversed(self.buttons(chat)):
            if button.text == label:
                return button
        raise AssertionError(f"no button {label!r} among {[b.text for b in self.buttons(chat)]}")

    def buttons(self, chat: str) -> list[Button]:
        """Every button in the chat, those of letters before those of cards."""
        rows = [row for part in self.service.sent if part.chat_id == chat for row in part.buttons]
        for card in self.service.cards.values():
            if card.address.chat_id == chat:
                rows += card.card.buttons
        return [button for row in rows for button in row]

    def texts(self, chat: str = OWNER) -> list[str]:
        """What the chat shows."""
        return self.service.texts(chat)

    def answers(self, chat: str = OWNER) -> list[str]:
        """The answers of Hermes in the chat, oldest first."""
        return [
            part.text
            for part in self.service.sent
            if part.chat_id == chat and part.letter.name.startswith("hermes-")
        ]

    def toasts(self) -> list[str]:
        """What people were told about the buttons they pressed."""
        return [hint.text for _, hint in self.service.hints if isinstance(hint, PressAnswered)]

    def types(self) -> list[str]:
        """Event types of the gateway's own trail."""
        return [record.event.event_type for record in self.lines.records]
