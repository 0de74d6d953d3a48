"""Around the ways out: what leaves for chats, and what goes into the trail, holds no secrets.

Answers, letters and orders on this machine's disk stay as they are: whoever may read them may
read what the agent saw, and a masked file would be of no use to the person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from attrs import define, evolve

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.health import Alert
from galaxy_core.domain.letter import Buttons, Letter, Receipt
from galaxy_core.domain.message import Address, Inbound, RemoteFile
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.run import Option, PermissionRequested, Question, QuestionAsked
from galaxy_core.domain.status import Card, Draft, Hint, Notice, OrderStatus, PressAnswered, Rates
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.channel import Channel

Mask = Callable[[str], str]
_TEXTS = frozenset(
    {
        *("payload_preview", "reason", "message", "error", "title", "text", "problem"),
        *("patterns", "questions", "answer"),
    }
)
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
        return self._words(value) if key in _TEXTS else value

    def _words(self, value: JSONValue) -> JSONValue:
        if isinstance(value, str):
            return self._mask(value)
        if isinstance(value, Mapping):
            return {key: self._words(each) for key, each in value.items()}
        return [self._words(each) for each in value] if isinstance(value, Sequence) else value


@define
class MaskingAlertSink(AlertSink):
    """The second way out, without secrets: what an agent says of itself may hold some."""

    _sink: AlertSink
    _mask: Mask

    async def send(self, alert: Alert) -> None:
        """See the port."""
        clean = evolve(alert, title=self._mask(alert.title), text=self._mask(alert.text))
        await self._sink.send(clean)


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
            buttons=self._buttons(letter.buttons),
        )
        return await self._channel.send(clean, address, part=part, is_repeat=is_repeat)

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        """See the port."""
        match card:
            case Notice():
                text, buttons = self._mask(card.text), self._buttons(card.buttons)
                card = evolve(card, text=text, buttons=buttons)
            case OrderStatus():
                progress, buttons = self._progress(card.progress), self._buttons(card.buttons)
                card = evolve(card, progress=progress, buttons=buttons)
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
            waiting_for=tuple(map(self._request, progress.waiting_for)),
        )

    def _request(
        self, request: PermissionRequested | QuestionAsked
    ) -> PermissionRequested | QuestionAsked:
        """What the agent wants to do or know: a command may hold a password."""
        if isinstance(request, QuestionAsked):
            return evolve(request, questions=tuple(map(self._question, request.questions)))
        return evolve(
            request,
            title=self._mask(request.title),
            patterns=tuple(map(self._mask, request.patterns)),
            always=tuple(map(self._mask, request.always)),
        )

    def _question(self, question: Question) -> Question:
        return evolve(
            question,
            text=self._mask(question.text),
            header=self._mask(question.header),
            options=tuple(
                Option(label=self._mask(each.label), description=self._mask(each.description))
                for each in question.options
            ),
        )

    def _buttons(self, rows: Buttons) -> Buttons:
        """What they say; what they mean stays, as it comes back."""
        return tuple(
            tuple(evolve(button, text=self._mask(button.text)) for button in row) for row in rows
        )
