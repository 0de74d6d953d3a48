"""What a channel hands to the gateway: one message of one person, before it is an order."""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from galaxy_core.domain.order import Attachment


@frozen(kw_only=True)
class InboundMessage:
    """One message from a person.

    `key` is the channel's own name for it: the same key is the same message, also after a
    restart on either side.
    """

    key: str
    channel: str
    chat_id: str
    sender_id: str
    text: str
    sent_at: datetime
    topic: str | None = None
    message_id: str | None = None
    attachments: tuple[Attachment, ...] = ()
