"""Letters that cannot be delivered: on record, and the owners hear of it.

An alert never goes to a chat that cannot be reached, and an alert that cannot be delivered is on
record only: there are no alerts about alerts.  Where only the letter is at fault, whoever it was
for is told, too: its answer is kept.  Alerts are named after what they are about, so after a crash
they are the same ones; a chat that is gone is told of once a day.
"""

from __future__ import annotations

import hashlib

import structlog
from attrs import define, field

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.services.courier.config import CourierPorts
from galaxy_core.services.courier.mailing import Parcel, Verdict
from galaxy_core.services.courier.pacing import chat_of
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

ALERT = "courier-alert-"
"""How the names of such letters begin."""
NOTICE = "courier-notice-"
"""The same, of those to the people whom a letter does not reach."""


@define
class ReturnDesk:
    """Reports what was given up."""

    _ports: CourierPorts
    _trails: dict[str, Trail] = field(init=False)

    def __attrs_post_init__(self) -> None:
        clock = self._ports.clock
        self._trails = {
            box.name: Trail(box.trail, clock, box.name) for box in self._ports.mailboxes
        }

    def trail(self, mailbox: str) -> Trail:
        """Where the deliveries of a mailbox's letters are put on record."""
        return self._trails[mailbox]

    async def report(self, parcel: Parcel, verdict: Verdict) -> None:
        """Put on record that a letter does not reach a chat, and alert the owners.

        Raises `StorageUnavailable`; safe twice, but for the line in the trail.
        """
        letter, (channel, chat_id) = parcel.letter, parcel.chat
        trail = self.trail(parcel.mailing.mailbox.name)
        log.error("letter.undeliverable", letter=letter.name, channel=channel, chat_id=chat_id)
        await trail.record(
            trail.event(
                AuditType.LETTER_UNDELIVERABLE,
                letter.order_id,
                severity=AuditSeverity.ERROR,
                letter=letter.name,
                channel=channel,
                chat_id=chat_id,
                part=parcel.mailing.next_part(parcel.chat),
                reason=verdict.reason,
            )
        )
        if letter.name.startswith((ALERT, NOTICE)):
            return
        await self._alert(parcel, verdict)
        if not verdict.is_about_chat and not parcel.mailing.is_for_all:
            await self._tell_chat(parcel, verdict)

    async def _alert(self, parcel: Parcel, verdict: Verdict) -> None:
        box, (channel, chat_id) = parcel.mailing.mailbox.name, parcel.chat
        now = self._ports.clock.now()
        if verdict.is_about_chat:
            subject = f"chat:{channel}:{chat_id}:{now:%Y-%m-%d}"
            text = f"Chat {chat_id} on {channel} cannot be reached any more: {verdict.reason}"
        else:
            subject = parcel.key
            text = (
                f"The letter {parcel.letter.name} could not be delivered to chat {chat_id} on "
                f"{channel}: {verdict.reason}"
            )
        text += f"\n\nWhat nobody got is kept in galaxy-outbox-undeliverable of {box}."
        for owner in self._ports.owners():
            if chat_of(owner) == parcel.chat or owner.channel not in self._ports.channels:
                continue
            await self._ports.home.outbox.post(
                Letter(
                    name=ALERT + _digest(f"{subject}>{owner.channel}:{owner.chat_id}"),
                    message=text,
                    severity=Severity.ALERT,
                    sender=f"Courier ({self._ports.home.name})",
                    timestamp=now,
                    order_id=parcel.letter.order_id,
                    channel=owner.channel,
                    chat_id=owner.chat_id,
                    topic=owner.topic,
                    format=LetterFormat.PLAIN,
                )
            )

    async def _tell_chat(self, parcel: Parcel, verdict: Verdict) -> None:
        letter, address = parcel.letter, parcel.address
        order_id = letter.order_id
        about = "A message" if order_id is None else f"What I had to say about {order_id}"
        again = "" if order_id is None else f"\n\n/history {order_id} shows its answer again."
        await self._ports.home.outbox.post(
            Letter(
                name=NOTICE + _digest(parcel.key),
                message=f"{about} could not be delivered here: {verdict.reason}{again}",
                severity=Severity.ALERT,
                sender=f"Courier ({self._ports.home.name})",
                timestamp=self._ports.clock.now(),
                order_id=order_id,
                channel=address.channel,
                chat_id=address.chat_id,
                topic=address.topic,
                format=LetterFormat.PLAIN,
            )
        )


def _digest(subject: str) -> str:
    return hashlib.sha256(subject.encode("utf-8", "replace")).hexdigest()[:16]
