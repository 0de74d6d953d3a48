"""Cards: one message each, which shows the newest state.

The message's id is a note (kind `card`), so that a restart goes on editing the same message:

| step | written | if the process dies after it |
|---|---|---|
| 1 | note without an id | shown or not, nobody knows: it is not shown a second time |
| 2 | the first call | the same |
| 3 | note with the id | later states change this message |
| 4 | the note is closed, after the last state | the message stays as it is |

An edit may be repeated, so it needs no note of its own.
"""

from __future__ import annotations

import random

import structlog
from attrs import define, field

from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    PermanentError,
    TransientError,
)
from galaxy_core.domain.message import Address
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.domain.status import Card
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.services.courier.pacing import Holds, Pace, chat_of

log = structlog.get_logger(__name__)

CARD = "card"


@define(eq=False)
class CardEntry:
    """One card and the message that shows it."""

    key: str
    address: Address
    message_id: str | None = None
    """None: not shown yet."""
    is_adopted: bool = False
    """Whether the caller knows the message: then there is no note."""
    is_mute: bool = False
    """Whether it must not be shown (any more)."""
    is_retired: bool = False
    """Whether what waits is the last state."""
    card: Card | None = None
    """The newest state, while it waits to be shown."""
    shown: Card | None = None
    due: float = 0.0
    """When the next state may be shown, on the monotonic clock."""
    attempts: int = 0
    """Passing failures in a row."""

    @property
    def needs_call(self) -> bool:
        """Whether the channel has to be called."""
        return self.card is not None and not self.is_mute and self.card != self.shown

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything to do."""
        return self.card is not None or self.is_retired


@define(eq=False)
class CardDesk:
    """All cards of one courier."""

    _notes: NoteStore
    _clock: Clock
    _holds: Holds
    _retry: RetryPolicy
    _entries: dict[str, CardEntry] = field(factory=dict, init=False)

    async def load(self) -> None:
        """Read which messages show which cards.  Raises `StorageUnavailable`."""
        for note in await self._notes.list(CARD):
            entry = _read(note)
            if entry is not None:
                self._entries[note.key] = entry

    def put(
        self, key: str, card: Card, address: Address, message_id: str | None = None
    ) -> CardEntry | None:
        """Take a new state in; None when the last one was given before."""
        entry = self._entries.get(key)
        if entry is None:
            entry = CardEntry(key, address, message_id, is_adopted=message_id is not None)
            self._entries[key] = entry
        if entry.is_retired:
            return None
        entry.card = card
        return entry

    def retire(self, key: str, card: Card | None) -> CardEntry | None:
        """Take the last state in (None: what was given before is the last); None when unknown."""
        entry = self._entries.get(key)
        if entry is None or entry.is_retired:
            return None
        entry.card = card or entry.card
        entry.is_retired = True
        return entry

    async def advance(self, entry: CardEntry, channel: Channel, pace: Pace) -> None:
        """Show the newest state, or forget the card when it has shown its last one."""
        try:
            if entry.needs_call:
                await self._show(entry, channel, pace)
            else:
                entry.card = None
            if entry.card is None and (entry.is_retired or entry.is_adopted):
                await self._forget(entry)
        except TransientError as error:
            log.error("card.write_failed", key=entry.key, error=str(error))
            self._put_off(entry)
        except Exception:
            # Supervision point: whatever is wrong with this card is no other chat's matter.
            log.exception("card.crashed", key=entry.key)
            self._put_off(entry)

    async def _show(self, entry: CardEntry, channel: Channel, pace: Pace) -> None:
        before, card = entry.message_id, entry.card
        if card is None:
            return
        if before is None:
            await self._notes.put([_note(entry)])
        try:
            message_id = await channel.show(card, entry.address, before)
        except TransientError as error:
            await self._cope(entry, error)
            return
        except PermanentError as error:
            log.warning("card.refused", key=entry.key, error=str(error))
            entry.is_mute = before is None or isinstance(error, ChatUnreachable)
            self._done_with(entry, card)
            return
        except Exception:
            # Supervision point: an adapter that breaks may have broken after the call.
            log.exception("channel.crashed", channel=entry.address.channel)
            entry.is_mute = before is None
            self._done_with(entry, card)
            return
        entry.attempts = 0
        entry.shown = card
        entry.due = self._clock.monotonic() + pace.edit_every(entry.address).total_seconds()
        entry.message_id = message_id
        entry.is_mute = message_id is None
        self._done_with(entry, card)
        if message_id not in {None, before} and not entry.is_adopted:
            await self._notes.put([_note(entry)])

    def _done_with(self, entry: CardEntry, card: Card) -> None:
        """That state needs no more; a newer one that came meanwhile does."""
        if entry.card is card:
            entry.card = None

    async def _cope(self, entry: CardEntry, error: TransientError) -> None:
        log.warning("card.show_failed", key=entry.key, error=str(error))
        is_first = entry.message_id is None
        if is_first and isinstance(error, DeliveryUnknown):
            # A second message might stand below the first one for ever.
            entry.is_mute = True
        if error.retry_after is not None and error.retry_after.total_seconds() > 0:
            await self._holds.hold(chat_of(entry.address), error.retry_after)
        else:
            self._put_off(entry)
        if is_first and not entry.is_mute:
            await self._notes.close(CARD, [entry.key])

    async def _forget(self, entry: CardEntry) -> None:
        if not entry.is_adopted:
            await self._notes.close(CARD, [entry.key])
        if entry.card is None:
            self._entries.pop(entry.key, None)
            entry.is_retired = False

    def _put_off(self, entry: CardEntry) -> None:
        entry.attempts += 1
        delay = self._retry.delay(entry.attempts, draw=random.random())  # noqa: S311 - jitter, not a secret
        entry.due = self._clock.monotonic() + delay.total_seconds()


def _note(entry: CardEntry) -> Note:
    value = {
        "channel": entry.address.channel,
        "chat_id": entry.address.chat_id,
        "topic": entry.address.topic,
        "message_id": entry.message_id,
    }
    return Note(kind=CARD, key=entry.key, value=dict(value))


def _read(note: Note) -> CardEntry | None:
    """A card as it was written; None for a note of somebody else's."""
    match note.value:
        case {"channel": str(channel), "chat_id": str(chat_id), **others}:
            topic, message_id = others.get("topic"), others.get("message_id")
            return CardEntry(
                key=note.key,
                address=Address(
                    channel=channel,
                    chat_id=chat_id,
                    topic=topic if isinstance(topic, str) else None,
                ),
                message_id=message_id if isinstance(message_id, str) else None,
                is_mute=not isinstance(message_id, str),
            )
        case _:
            return None
