"""Questions to people: asked once, answered once, over any restart.

An ask is a note from the moment it is asked to the moment it is over; its letter is named after it.
A button carries the ask's id and the number of a choice, and nothing is believed of what comes back
but that: who may answer, and what the choice means, stands in the note.

What is left if the process dies in the middle: before the letter is posted, asking again posts it;
after the handler took an answer and before the note is closed, the press comes again (it was not
confirmed) and the handler, which is safe twice, takes it again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import anyio
import structlog
from attrs import define, evolve, field, frozen

from galaxy_core.domain.ask import Ask
from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter, LetterFormat, Receipt
from galaxy_core.domain.message import Address, ButtonPressed, Inbound, InboundMessage
from galaxy_core.domain.people import Deed, may
from galaxy_core.domain.status import Notice, PressAnswered
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.ports.outbox import Outbox
from galaxy_core.services._concurrency import wait_for_event
from galaxy_core.services.gateway.ask_buttons import PREFIX, SEND_OFF, WRITE, buttons_of
from galaxy_core.services.gateway.markup import bare
from galaxy_core.services.gateway.records import read, read_all
from galaxy_core.services.gateway.roster import Roster
from galaxy_core.services.gateway.shows import Shows
from galaxy_core.services.gateway.slash import command_of
from galaxy_core.services.trail import Trail
from galaxy_core.wire.structure import to_json

log = structlog.get_logger(__name__)

ASK = "ask"
LETTER = "ask-"
OVER = "This was answered already, or does not matter any more."
USE_BUTTONS = (
    "Please press one of the buttons below the question. "
    "For a new order, write without replying to it."
)
TOAST_CHARACTERS = 200
ENDS_KEPT = 200
NOTICE_CHARACTERS = 3_000
"""Of a question that stay when it is over: the channel cuts a message at its end, where the answer
stands."""
RECEIPT_PATIENCE = timedelta(seconds=3)
"""How long a reply waits for the note on where a question stands: people see it before."""


Handler = Callable[[Ask, Sequence[str], Inbound], Awaitable[str]]
"""Takes the values chosen (or one text of the person's own); returns what the message says from
then on, in Markdown.  Safe twice."""


@frozen(kw_only=True)
class OpenAsk:
    """An ask, and how far its answer has come."""

    ask: Ask
    message_ids: tuple[str, ...] = ()
    chosen: tuple[int, ...] = ()
    """Indices of the choices taken so far, where several may be."""
    writer: str | None = None
    """Id of the person whose next message is the answer."""


@define
class AskDesk:
    """Asks, and takes answers."""

    _notes: NoteStore
    _outbox: Outbox
    _roster: Roster
    _courier: Shows
    _trail: Trail
    _clock: Clock
    _handlers: dict[str, Handler] = field(factory=dict, init=False)
    _answering: set[str] = field(factory=set, init=False)
    """Ids of asks whose answer is on its way: nobody else says what became of them."""
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    """Held from the reading of a note to its writing: presses and receipts come side by side."""
    _arrived: anyio.Event = field(factory=anyio.Event, init=False)
    _ends: OrderedDict[str, str] = field(factory=OrderedDict, init=False)
    """What became of the last asks: some are over before their letters have arrived here."""

    def on_choice(self, kind: str, handler: Handler) -> None:
        """From now on answers to asks of this kind go there."""
        self._handlers[kind] = handler

    # ---- asking

    async def open(self, ask: Ask) -> bool:
        """Ask; False when it is over already.  Safe twice.  Raises `StorageUnavailable`."""
        ask = evolve(ask, opened_at=ask.opened_at or self._clock.now())
        new = await self._notes.add([_note(OpenAsk(ask=ask))])
        if not new and await self._find(ask.id) is None:
            return False
        await self._outbox.post(
            Letter(
                name=LETTER + ask.id,
                message=ask.text,
                timestamp=ask.opened_at,
                order_id=ask.order_id,
                chat_id=ask.address.chat_id,
                channel=ask.address.channel,
                topic=ask.address.topic,
                reply_to=ask.reply_to,
                format=LetterFormat.MARKDOWN,
                buttons=buttons_of(ask),
            )
        )
        return True

    async def delivered(self, letter: Letter, receipts: Sequence[Receipt]) -> None:
        """Hear that a letter was delivered: if it asks something, remember where."""
        if not letter.name.startswith(LETTER):
            return
        ids = tuple(i for receipt in receipts for i in receipt.message_ids)
        async with self._lock:
            open_ask = await self._find(letter.name.removeprefix(LETTER))
            if open_ask is not None:
                await self._put(evolve(open_ask, message_ids=ids))
        if open_ask is not None:
            arrived, self._arrived = self._arrived, anyio.Event()
            arrived.set()
        elif ids and letter.chat_id and letter.channel:
            # It was over before it arrived.
            address = Address(channel=letter.channel, chat_id=letter.chat_id, topic=letter.topic)
            ask_id = letter.name.removeprefix(LETTER)
            notice = Notice(text=_ended(letter.message, self._ends.get(ask_id, f"_{OVER}_")))
            self._courier.show(letter.name, notice, address, message_id=ids[-1])

    async def close(self, ask_id: str, text: str) -> None:
        """End an ask without an answer of a person; its message says why.  Safe twice."""
        if ask_id in self._answering:
            return
        async with self._lock:
            open_ask = await self._find(ask_id)
            if open_ask is not None:
                await self._close(open_ask, text)

    async def close_of_order(self, machine: str, order_id: OrderId, text: str) -> None:
        """End all asks of an order."""
        async with self._lock:
            for open_ask in await self.all_open():
                if (open_ask.ask.machine, open_ask.ask.order_id) == (machine, order_id):
                    await self._close(open_ask, text)

    async def all_open(self) -> list[OpenAsk]:
        """Everything that waits for an answer, oldest first."""
        return read_all(await self._notes.list(ASK), OpenAsk)

    async def overdue(self, now: datetime) -> list[Ask]:
        """Asks whose time is over."""
        return [
            open_ask.ask
            for open_ask in await self.all_open()
            if open_ask.ask.expires_at is not None and open_ask.ask.expires_at <= now
        ]

    # ---- answering

    async def press(self, pressed: ButtonPressed) -> bool:
        """Take a button; False when it is none of an ask's.  The person hears what became of it."""
        prefix, _, rest = pressed.data.partition(":")
        if prefix != PREFIX:
            return False
        ask_id, _, what = rest.partition(":")
        async with self._lock:
            open_ask = await self._find(ask_id)
            where = open_ask.ask.address if open_ask else None
            if open_ask is None or where is None or _place(where) != _place(pressed.address):
                self._toast(pressed, OVER, is_alert=True)
            elif (sentence := await self._why_not(open_ask.ask, pressed)) is not None:
                await self._refuse(open_ask.ask, pressed, sentence)
                self._toast(pressed, sentence, is_alert=True)
            else:
                if not open_ask.message_ids and pressed.message_id:
                    # People are faster than the receipt: they have seen where it stands.
                    open_ask = evolve(open_ask, message_ids=(pressed.message_id,))
                await self._take_button(open_ask, what, pressed)
        return True

    async def take_text(self, message: InboundMessage) -> str | None:
        """Take a message that answers an ask; what its sender is to be told.

        Empty when there is nothing to tell, None when it answers none.  A command is never an
        answer, nor is what comes with files, which an agent could not be handed.
        """
        if not message.text.strip() or message.files or command_of(message.text) is not None:
            return None
        if message.reply_to is not None:
            await self._wait_for_receipt(message.address)
        async with self._lock:
            return await self._take_text(message)

    async def _wait_for_receipt(self, address: Address) -> None:
        arrived = self._arrived
        for open_ask in await self.all_open():
            if _place(open_ask.ask.address) == _place(address) and not open_ask.message_ids:
                await wait_for_event(arrived, self._clock, RECEIPT_PATIENCE)
                return

    async def _take_text(self, message: InboundMessage) -> str | None:
        for open_ask in reversed(await self.all_open()):
            ask = open_ask.ask
            if _place(ask.address) != _place(message.address):
                continue
            is_reply = message.reply_to is not None and message.reply_to in open_ask.message_ids
            # What somebody else wrote, or what is written in another topic, is nobody's answer.
            is_awaited = (
                open_ask.writer == message.sender_id
                and ask.address == message.address
                and not message.quotes
            )
            if not (is_reply or is_awaited):
                continue
            if (sentence := await self._why_not(ask, message)) is not None:
                if not is_reply:
                    continue
                await self._refuse(ask, message, sentence)
                return sentence
            named = _named_choice(ask, message.text)
            if named is None and not ask.allows_text:
                await self._refuse(ask, message, USE_BUTTONS)
                return USE_BUTTONS
            await self._answer(open_ask, [named or message.text.strip()], message)
            return ""
        return None

    async def _take_button(self, open_ask: OpenAsk, what: str, pressed: ButtonPressed) -> None:
        ask = open_ask.ask
        if what == WRITE and ask.allows_text:
            await self._put(evolve(open_ask, writer=pressed.sender_id))
            # A bot is not shown what is said in a group, unless it is said to the bot.
            how = "Reply to the question with your answer."
            if not pressed.is_group:
                how = "Write your answer as your next message here."
            self._toast(pressed, how, is_alert=True)
            return
        if what == SEND_OFF and ask.is_multiple:
            values = [ask.choices[index].value for index in open_ask.chosen]
            self._toast(pressed, await self._answer(open_ask, values, pressed))
            return
        if not what.isascii() or not what.isdigit() or int(what) >= len(ask.choices):
            self._toast(pressed, OVER, is_alert=True)
            return
        index = int(what)
        if not ask.is_multiple:
            self._toast(pressed, await self._answer(open_ask, [ask.choices[index].value], pressed))
            return
        chosen = set(open_ask.chosen) ^ {index}
        open_ask = evolve(open_ask, chosen=tuple(sorted(chosen)))
        await self._put(open_ask)
        self._toast(pressed, "")
        self._show(open_ask, Notice(text=ask.text, buttons=buttons_of(ask, chosen)))

    async def _answer(self, open_ask: OpenAsk, values: Sequence[str], by: Inbound) -> str:
        """Hand the answer on, then close; what the message says now."""
        ask = open_ask.ask
        handler = self._handlers.get(ask.kind)
        if handler is None:
            log.error("ask.nobody_asked", kind=ask.kind, ask_id=ask.id)
            return OVER
        self._answering.add(ask.id)
        try:
            text = await handler(ask, values, by)
            await self._record(ask, values, by)
            await self._close(open_ask, text)
        finally:
            self._answering.discard(ask.id)
        return text

    async def _record(self, ask: Ask, values: Sequence[str], by: Inbound) -> None:
        await self._trail.record(
            self._trail.event(
                AuditType.REQUEST_ANSWERED,
                ask.order_id,
                kind=ask.kind,
                request_id=ask.request_id,
                key=by.key,
                channel=by.channel,
                person=by.sender_id,
                # What a person typed is theirs; which button they pressed is on record.
                choice=", ".join(v for v in values if v in {c.value for c in ask.choices}) or None,
            )
        )

    async def _refuse(self, ask: Ask, by: Inbound, sentence: str) -> None:
        await self._trail.record(
            self._trail.event(
                AuditType.MESSAGE_REFUSED,
                ask.order_id,
                severity=AuditSeverity.WARNING,
                reason=sentence,
                kind=ask.kind,
                key=by.key,
                channel=by.channel,
                chat_id=by.chat_id,
                person=by.sender_id,
            )
        )

    async def _why_not(self, ask: Ask, by: Inbound) -> str | None:
        """Why this person may not answer; None when they may."""
        role = await self._roster.role_of(by.channel, by.sender_id)
        if may(role, Deed.STEER_ALL):
            return None
        if not may(role, ask.deed):
            return "You are not on the list of those who may answer this."
        if ask.asked is not None and ask.asked != by.sender_id:
            return "Only the person who was asked, or an owner, can answer this."
        return None

    # ---- notes and messages

    async def _find(self, ask_id: str) -> OpenAsk | None:
        return read(await self._notes.get(ASK, ask_id), OpenAsk)

    async def _put(self, open_ask: OpenAsk) -> None:
        await self._notes.put([_note(open_ask)])

    async def _close(self, open_ask: OpenAsk, text: str) -> None:
        self._show(open_ask, Notice(text=_ended(open_ask.ask.text, text)))
        await self._notes.close(ASK, [open_ask.ask.id])
        self._ends[open_ask.ask.id] = text
        while len(self._ends) > ENDS_KEPT:
            self._ends.popitem(last=False)

    def _show(self, open_ask: OpenAsk, notice: Notice) -> None:
        if open_ask.message_ids:
            ask = open_ask.ask
            last = open_ask.message_ids[-1]
            self._courier.show(LETTER + ask.id, notice, ask.address, message_id=last)

    def _toast(self, pressed: ButtonPressed, text: str, *, is_alert: bool = False) -> None:
        plain = bare(text)
        if len(plain) > TOAST_CHARACTERS:
            plain = plain[: TOAST_CHARACTERS - 1] + "…"
        self._courier.hint(
            PressAnswered(press_id=pressed.press_id, text=plain, is_alert=is_alert),
            pressed.address,
        )


def _ended(text: str, how: str) -> str:
    head = text if len(text) <= NOTICE_CHARACTERS else f"{text[:NOTICE_CHARACTERS]}…"
    return f"{head}\n\n{how}"


def _place(address: Address) -> tuple[str, str]:
    """Topics are left out: a chat's id is enough to tell a forged press."""
    return address.channel, address.chat_id


def _named_choice(ask: Ask, text: str) -> str | None:
    wanted = text.strip().casefold()
    return next((c.value for c in ask.choices if c.label.casefold() == wanted), None)


def _note(open_ask: OpenAsk) -> Note:
    return Note(kind=ASK, key=open_ask.ask.id, value=to_json(open_ask))
