"""What was about to be sent: notes from which a crash leaves "perhaps", never "who knows what".

One note (kind `sending`) a letter and chat: number of the part, how many sendings of it were begun
whose outcome is not known, and when the last one was.  It is written before the call.  A note
whose part has its receipt in the letter says nothing any more.  When the chat was given up, and
that is on record, the note says why: whoever else gets the letter may need it for days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

import structlog
from attrs import define, evolve, field, frozen

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.order import JSONObject
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.services.courier.pacing import Chat

log = structlog.get_logger(__name__)

SENDING = "sending"
SENDINGS = 3
"""How often a part is sent at most while nobody can tell whether it arrived."""


@frozen(kw_only=True)
class Intent:
    """Where the sending of one letter to one chat stands."""

    mailbox: str
    letter: str
    part: int
    unknown: int = 0
    """How many sendings of the part were begun and have no known outcome."""
    at: datetime
    """When the last of them was begun."""
    lost: str | None = None
    """Why the chat was given up; None: it was not."""


@define(eq=False)
class Intents:
    """The intents of one courier."""

    _notes: NoteStore
    _clock: Clock
    _last_try_after: timedelta
    _known: dict[str, Intent] = field(factory=dict, init=False)

    async def load(self) -> None:
        """Read what a process before this one left.  Raises `StorageUnavailable`."""
        for note in await self._notes.list(SENDING):
            intent = _read(note.value)
            if intent is not None:
                self._known[note.key] = intent

    @staticmethod
    def key(mailbox: str, letter: str, chat: Chat) -> str:
        """Under which name the sending of a letter to a chat is written down."""
        return f"{mailbox}/{letter}/{':'.join(chat)}"

    def unknown(self, key: str, part: int) -> int:
        """How many sendings of that part may have had effect."""
        intent = self._known.get(key)
        return intent.unknown if intent is not None and intent.part == part else 0

    def lost(self, key: str, part: int) -> str | None:
        """Why that part was given up, and with it the chat; None when it was not."""
        intent = self._known.get(key)
        return intent.lost if intent is not None and intent.part == part else None

    def wait_after_restart(self, key: str, part: int) -> timedelta:
        """How long the part must not be sent yet, for all that its note says."""
        if self.unknown(key, part) != SENDINGS - 1:
            return timedelta(0)
        left = self._known[key].at + self._last_try_after - self._clock.now()
        return min(max(left, timedelta(0)), self._last_try_after)

    async def begin(self, key: str, mailbox: str, letter: str, part: int) -> None:
        """Write down that the part is about to be sent.  Raises `StorageUnavailable`."""
        intent = Intent(
            mailbox=mailbox,
            letter=letter,
            part=part,
            unknown=self.unknown(key, part) + 1,
            at=self._clock.now(),
        )
        await self._notes.put([_note(key, intent)])
        self._known[key] = intent

    async def give_up(self, key: str, reason: str) -> None:
        """Write down that the chat was given up.  Raises `StorageUnavailable`."""
        intent = evolve(self._known[key], lost=reason)
        await self._notes.put([_note(key, intent)])
        self._known[key] = intent

    async def take_back(self, key: str) -> None:
        """The sending that was begun last had no effect.

        Should that not be written, a crash makes people see a mark too many, nothing worse.
        """
        intent = self._known[key]
        intent = evolve(intent, unknown=intent.unknown - 1)
        self._known[key] = intent
        try:
            if intent.unknown:
                await self._notes.put([_note(key, intent)])
            else:
                await self._notes.close(SENDING, [key])
        except TransientError as error:
            log.warning("intent.take_back_failed", letter=intent.letter, error=str(error))

    async def forget(self, keys: Iterable[str]) -> None:
        """The letter is out of the outbox.  What cannot be closed is swept at the next start."""
        try:
            await self._close([key for key in keys if key in self._known])
        except TransientError as error:
            log.warning("intent.forget_failed", error=str(error))

    async def sweep(self, mailbox: str, letters: Collection[str]) -> None:
        """Forget what is about none of those letters: they are all that wait in the mailbox."""
        await self._close(
            [k for k, i in self._known.items() if i.mailbox == mailbox and i.letter not in letters]
        )

    async def _close(self, keys: Collection[str]) -> None:
        if keys:
            await self._notes.close(SENDING, keys)
            for key in keys:
                self._known.pop(key, None)


def _note(key: str, intent: Intent) -> Note:
    value: JSONObject = {
        "mailbox": intent.mailbox,
        "letter": intent.letter,
        "part": intent.part,
        "unknown": intent.unknown,
        "at": intent.at.isoformat(),
        "lost": intent.lost,
    }
    return Note(kind=SENDING, key=key, value=value)


def _read(value: JSONObject) -> Intent | None:
    """An intent as it was written; None for a note of somebody else's."""
    match value:
        case {
            "mailbox": str(mailbox),
            "letter": str(letter),
            "part": int(part),
            "unknown": int(unknown),
            "at": str(at),
        }:
            lost = value.get("lost")
            return Intent(
                mailbox=mailbox,
                letter=letter,
                part=part,
                unknown=unknown,
                at=datetime.fromisoformat(at),
                lost=lost if isinstance(lost, str) else None,
            )
        case _:
            return None
