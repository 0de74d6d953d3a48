"""What the gateway says by itself: letters named after the message that they answer.

They go the way of all letters, so a reply is neither lost by a crash nor said twice.
"""

from __future__ import annotations

from attrs import define

from galaxy_core.domain.ids import safe_order_id
from galaxy_core.domain.letter import Buttons, Letter, LetterFormat
from galaxy_core.domain.message import Inbound, InboundMessage
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.outbox import Outbox


@define
class Replies:
    """Answers people at once."""

    _outbox: Outbox
    _clock: Clock

    async def say(
        self, inbound: Inbound, text: str, *, buttons: Buttons = (), number: int = 1
    ) -> None:
        """Answer a message with Markdown; the second answer to one message is number 2.

        Safe twice: the number is part of the letter's name.  Raises `StorageUnavailable`.
        """
        suffix = "" if number == 1 else f"-{number}"
        await self._outbox.post(
            Letter(
                name=f"reply-{safe_order_id(inbound.key.replace(':', '-'))}{suffix}",
                message=text,
                timestamp=self._clock.now(),
                chat_id=inbound.chat_id,
                channel=inbound.channel,
                topic=inbound.topic,
                reply_to=inbound.message_id if isinstance(inbound, InboundMessage) else None,
                format=LetterFormat.MARKDOWN,
                buttons=buttons,
            )
        )
