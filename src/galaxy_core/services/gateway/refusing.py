"""Refusing what a person wants: on record first, then in words.

What was said must stay true: a message that comes again after a crash, when the limit has room
again, would run although its sender was told that it would not.  So a refusal that time could
change is a note under the message's key before it is said.
"""

from __future__ import annotations

from datetime import datetime

from attrs import define

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.message import InboundMessage
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.services.gateway.replies import Replies
from galaxy_core.services.trail import Trail

REFUSED = "refused"
"""Notes: what people were told, by the message."""


async def put_refusal_on_record(
    trail: Trail,
    message: InboundMessage,
    reason: str,
    *,
    event_type: AuditType = AuditType.MESSAGE_REFUSED,
    is_repeated: bool = False,
) -> None:
    """Leave the line that says that a message was refused, or dropped, and why.

    Raises `StorageUnavailable`.
    """
    await trail.record(
        trail.event(
            event_type,
            severity=AuditSeverity.WARNING,
            reason=reason,
            key=message.key,
            channel=message.channel,
            chat_id=message.chat_id,
            person=message.sender_id,
            # After a crash nobody knows whether the line was written before.
            is_repeated=is_repeated or None,
        )
    )


async def refuse(trail: Trail, replies: Replies, message: InboundMessage, sentence: str) -> None:
    """Say why not, on record."""
    await put_refusal_on_record(trail, message, sentence)
    await replies.say(message, sentence)


@define
class RefusalDesk:
    """Refuses for good."""

    _notes: NoteStore
    _replies: Replies
    _trail: Trail
    _clock: Clock

    async def refuse(self, message: InboundMessage, sentence: str) -> None:
        """Say why not, on record, and remember it.  Raises `StorageUnavailable`."""
        await self.remember(message.key, sentence)
        await refuse(self._trail, self._replies, message, sentence)

    async def remember(self, key: str, sentence: str) -> None:
        """What is said of that message stays true.  Raises `StorageUnavailable`."""
        value = {"sentence": sentence, "at": self._clock.now().isoformat()}
        await self._notes.put([Note(kind=REFUSED, key=key, value=dict(value))])

    async def has_refused(self, message: InboundMessage) -> bool:
        """Whether it was refused before; then it is said once more, should it not have been.

        Raises `StorageUnavailable`.
        """
        note = await self._notes.get(REFUSED, message.key)
        if note is None:
            return False
        sentence = str(note.value.get("sentence"))
        await put_refusal_on_record(self._trail, message, sentence, is_repeated=True)
        await self._replies.say(message, sentence)
        return True

    async def forget(self, before: datetime) -> None:
        """Close what was refused before then: it comes no more.  Raises `StorageUnavailable`."""
        notes = await self._notes.list(REFUSED)
        old = [note.key for note in notes if str(note.value.get("at")) < before.isoformat()]
        if old:
            await self._notes.close(REFUSED, old)
