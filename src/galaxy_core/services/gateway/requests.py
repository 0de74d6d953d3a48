"""What a running agent wants to know, put to the person whose order it is."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from galaxy_core.domain.ask import Ask, Choice, short_id
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.letter import ButtonStyle
from galaxy_core.domain.message import Address, Inbound
from galaxy_core.domain.operations import AnswerGiven
from galaxy_core.domain.order import Order
from galaxy_core.domain.run import (
    Answer,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    Question,
    QuestionAsked,
    QuestionReply,
)
from galaxy_core.ports.note_store import Note
from galaxy_core.services.gateway.asks import AskDesk
from galaxy_core.services.gateway.config import GatewayPorts, MachinePorts
from galaxy_core.services.gateway.markup import code, plain

PERMISSION, QUESTION = "permission", "question"
PART = "answer"
"""Notes: the answer to one of several questions that an agent asked together."""
PATTERNS_SHOWN = 5
LABEL_CHARACTERS = 30
"""A phone cuts a button's text at about that: longer ones are told above the buttons, too."""

_YES = frozenset({"yes", "y", "ok", "okay", "allow"})
"""Typed answers to "May I?" that are no refusal."""
_SAID = {
    PermissionChoice.ONCE: "_Allowed once._",
    PermissionChoice.ALWAYS: "_Allowed from now on._",
    PermissionChoice.REJECT: "_Not allowed._",
}


@define
class RequestDesk:
    """Asks on behalf of agents, and takes the answers back to them."""

    _ports: GatewayPorts
    _asks: AskDesk

    def __attrs_post_init__(self) -> None:
        self._asks.on_choice(PERMISSION, self._permitted)
        self._asks.on_choice(QUESTION, self._answered)

    async def ask(
        self,
        machine: MachinePorts,
        order: Order,
        address: Address,
        event: PermissionRequested | QuestionAsked,
    ) -> tuple[str, ...]:
        """Ask the person; the ids of the asks.  Safe twice."""
        if isinstance(event, PermissionRequested):
            asks = [_permission(machine, order, address, event)]
        else:
            total = len(event.questions)
            asks = [
                _question(machine, order, address, event.request_id, question, (number, total))
                for number, question in enumerate(event.questions, 1)
            ]
        for ask in asks:
            await self._asks.open(ask)
        return tuple(ask.id for ask in asks)

    async def _permitted(self, ask: Ask, values: Sequence[str], by: Inbound) -> str:
        value = values[0] if values else PermissionChoice.REJECT.value
        if value.casefold().strip(" .!") in _YES:
            value = PermissionChoice.ONCE.value
        if value in set(PermissionChoice):
            choice = PermissionChoice(value)
            await self._send(ask, PermissionReply(choice=choice), by)
            return _SAID[choice]
        # Words instead of a button: no, and what to do instead.
        reply = PermissionReply(choice=PermissionChoice.REJECT, message=value)
        await self._send(ask, reply, by)
        return "_Not allowed; your words went to the agent._"

    async def _answered(self, ask: Ask, values: Sequence[str], by: Inbound) -> str:
        number, total = ask.subject["number"], ask.subject["total"]
        if not isinstance(number, int) or not isinstance(total, int):
            raise TypeError("an ask of ours has numbers")
        await self._ports.notes.put(
            [Note(kind=PART, key=_part(ask, number), value={"labels": list(values)})]
        )
        parts = [await self._ports.notes.get(PART, _part(ask, n)) for n in range(1, total + 1)]
        found = [_labels(part) for part in parts if part is not None]
        if len(found) == total:
            await self._send(ask, QuestionReply(answers=tuple(found)), by)
            await self._ports.notes.close(PART, [_part(ask, n) for n in range(1, total + 1)])
        return f"_Answer: {plain(', '.join(values) or 'nothing')}_"

    async def _send(self, ask: Ask, answer: Answer, by: Inbound) -> None:
        machine = self._ports.find_machine(ask.machine or "")
        if machine is None or ask.order_id is None or ask.request_id is None:
            return
        await machine.control.send(
            AnswerGiven(
                order_id=ask.order_id,
                request_id=ask.request_id,
                answer=answer,
                at=self._ports.clock.now(),
                by=f"{by.channel}:{by.sender_id}",
            )
        )


def _permission(
    machine: MachinePorts, order: Order, address: Address, event: PermissionRequested
) -> Ask:
    lines = [f"**May I?** {plain(event.title or event.permission)}"]
    if event.title:
        lines.append(f"({plain(event.permission)})")
    shown = [code(pattern) for pattern in event.patterns[:PATTERNS_SHOWN]]
    if len(event.patterns) > PATTERNS_SHOWN:
        shown.append(f"and {len(event.patterns) - PATTERNS_SHOWN} more")
    return Ask(
        id=short_id(PERMISSION, machine.name, order.id, event.request_id),
        kind=PERMISSION,
        address=address,
        text="\n".join([" ".join(lines), *shown]),
        choices=(
            Choice(label="Once", value=PermissionChoice.ONCE.value, style=ButtonStyle.POSITIVE),
            Choice(label="Always", value=PermissionChoice.ALWAYS.value),
            Choice(label="No", value=PermissionChoice.REJECT.value, style=ButtonStyle.NEGATIVE),
        ),
        asked=order.person_id,
        machine=machine.name,
        order_id=order.id,
        request_id=event.request_id,
        reply_to=order.reply_to,
        allows_text=True,
    )


def _question(
    machine: MachinePorts,
    order: Order,
    address: Address,
    request_id: RequestId,
    question: Question,
    number: tuple[int, int],
) -> Ask:
    is_head_new = not question.text.startswith(question.header)
    head = f"**{question.header}**\n" if is_head_new else ""
    described = [
        f"• {o.label}: {o.description}" if o.description else f"• {o.label}"
        for o in question.options
        if o.description or len(o.label) > LABEL_CHARACTERS
    ]
    return Ask(
        id=short_id(QUESTION, machine.name, order.id, request_id, str(number[0])),
        kind=QUESTION,
        address=address,
        text="\n".join([head + question.text, *described]),
        # The label is the answer: what a person types must not be taken for a button's number.
        choices=tuple(Choice(label=o.label, value=o.label) for o in question.options),
        asked=order.person_id,
        machine=machine.name,
        order_id=order.id,
        request_id=request_id,
        reply_to=order.reply_to,
        is_multiple=question.is_multiple,
        allows_text=question.allows_free_text or not question.options,
        subject={"number": number[0], "total": number[1]},
    )


def _part(ask: Ask, number: int) -> str:
    return f"{ask.machine}:{ask.order_id}:{ask.request_id}:{number}"


def _labels(part: Note) -> tuple[str, ...]:
    labels = part.value.get("labels")
    return tuple(str(label) for label in labels) if isinstance(labels, list) else ()
