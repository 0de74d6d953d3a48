"""Around the ways out: what leaves for chats, and what goes into the trail, holds no secrets.

Answers, letters and orders on this machine's disk stay as they are: whoever may read them may
read what the agent saw, and a masked file would be of no use to the person.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, evolve

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address, Inbound, RemoteFile
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.status import Card, Draft, Hint, Notice, OrderStatus, PressAnswered, Rates
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.channel import Channel

Mask = Callable[[str], str]
_TEXTS = frozenset({"payload_preview", "reason", "message", "error", "title"})
"""Members of a line that hold words of people and programs; all others are names and numbers."""


@define
class MaskingAuditSink(AuditSink):
    """Writes lines whose texts have no secrets: previews, reasons, messages."""

    _sink: AuditSink
    _mask: Mask

    async def record(self, events: Sequence[AuditEvent]) -> None:
        """See the port."""
        await self._sink.record([self._masked(event) for event in events])

    def _masked(self, event: AuditEvent) -> AuditEvent:
        data = {key: self._value(key, value) for key, value in event.data.items()}
        return event if data == event.data else evolve(event, data=data)

    def _value(self, key: str, value: JSONValue) -> JSONValue:
        return self._mask(value) if isinstance(value, str) and key in _TEXTS else value


@define(eq=False)
class MaskingChannel(Channel):
    """A channel through which no secret goes out; what comes in is left alone.

    The parts of a letter depend on the masked text, which is the same after a restart.
    """

    _channel: Channel
    _mask: Mask

    @property
    def name(self) -> str:  # type: ignore[override]  # read only, as it is the channel's own
        """The channel's own name."""
        return self._channel.name

    def rates(self) -> Rates:
        """See the port."""
        return self._channel.rates()

    async def receive(self) -> Inbound:
        """See the port."""
        return await self._channel.receive()

    async def confirm(self, inbound: Inbound) -> None:
        """See the port."""
        await self._channel.confirm(inbound)

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        """See the port."""
        await self._channel.fetch(file, target)

    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        """See the port."""
        payload = letter.order_payload
        clean = evolve(
            letter,
            message=self._mask(letter.message),
            order_payload=None if payload is None else self._mask(payload),
        )
        return await self._channel.send(clean, address, part=part, is_repeat=is_repeat)

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        """See the port."""
        match card:
            case Notice():
                card = evolve(card, text=self._mask(card.text))
            case OrderStatus():
                card = evolve(card, progress=self._progress(card.progress))
        return await self._channel.show(card, address, message_id)

    async def hint(self, hint: Hint, address: Address) -> None:
        """See the port."""
        if isinstance(hint, Draft | PressAnswered):
            hint = evolve(hint, text=self._mask(hint.text))
        await self._channel.hint(hint, address)

    def _progress(self, progress: Progress | None) -> Progress | None:
        if progress is None:
            return None
        return evolve(
            progress,
            text=self._mask(progress.text),
            tool=None if progress.tool is None else self._mask(progress.tool),
            note=None if progress.note is None else self._mask(progress.note),
            todos=tuple(evolve(todo, content=self._mask(todo.content)) for todo in progress.todos),
        )
