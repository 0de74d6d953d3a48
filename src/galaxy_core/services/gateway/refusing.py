"""Refusing what a person wants: on record first, then in words."""

from __future__ import annotations

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.message import InboundMessage
from galaxy_core.services.gateway.replies import Replies
from galaxy_core.services.trail import Trail


async def put_refusal_on_record(trail: Trail, message: InboundMessage, reason: str) -> None:
    """Leave the line that says that a message was refused, and why.

    Raises `StorageUnavailable`.
    """
    await trail.record(
        trail.event(
            AuditType.MESSAGE_REFUSED,
            severity=AuditSeverity.WARNING,
            reason=reason,
            key=message.key,
            channel=message.channel,
            chat_id=message.chat_id,
            person=message.sender_id,
        )
    )


async def refuse(trail: Trail, replies: Replies, message: InboundMessage, sentence: str) -> None:
    """Say why not, on record."""
    await put_refusal_on_record(trail, message, sentence)
    await replies.say(message, sentence)
