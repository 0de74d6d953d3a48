"""Orders that wait for a word of a person before they are orders: stale, forwarded, edited.

The order is kept in the ask itself, as it would lie in the queue.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from attrs import define

from galaxy_core.domain.ask import Ask, Choice, short_id
from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.letter import ButtonStyle
from galaxy_core.domain.message import Inbound, InboundMessage
from galaxy_core.domain.order import JSONObject, Order
from galaxy_core.domain.people import Deed
from galaxy_core.services.gateway.asks import AskDesk
from galaxy_core.services.gateway.config import GatewayPorts, MachinePorts
from galaxy_core.services.gateway.markup import plain
from galaxy_core.services.gateway.refusing import put_refusal_on_record
from galaxy_core.services.gateway.submitting import Submitter
from galaxy_core.services.trail import Trail, preview
from galaxy_core.wire.order import decode_order, encode_order

STALE, FORWARD, EDIT = "stale", "forward", "edit"
HELD = (STALE, FORWARD, EDIT)
RUN, DROP = "run", "drop"
GOOD_FOR = timedelta(days=2)
NOT_CHOSEN = "_Nothing was chosen._"
NOT_RUN = "_Not run: nobody said that it should be._"


@define
class HoldingDesk:
    """Keeps an order until somebody says whether it shall run."""

    _ports: GatewayPorts
    _asks: AskDesk
    _submitter: Submitter
    _trail: Trail

    def __attrs_post_init__(self) -> None:
        for kind in HELD:
            self._asks.on_choice(kind, self._decided)

    async def hold_stale(
        self, message: InboundMessage, machine: MachinePorts, order: Order
    ) -> None:
        """It came while nothing ran here, and is older than the settings allow."""
        age = _age(self._ports.clock.now() - message.sent_at)
        text = f"This came {age} ago, while I was away:\n\n{_shown(order)}\n\nRun it{_on(order)}?"
        await self._hold(STALE, message, machine, order, text, ("Run it", "Drop it"))

    async def hold_forward(
        self, message: InboundMessage, machine: MachinePorts, order: Order
    ) -> None:
        """Somebody else's words, passed on without any of the person's own."""
        text = (
            "You passed this on without a word of your own. "
            f"Shall I take it as an order{_on(order)}?"
        )
        await self._hold(FORWARD, message, machine, order, text, ("Take it as an order", "No"))

    async def hold_edit(self, message: InboundMessage, machine: MachinePorts, order: Order) -> None:
        """A message that was an order was changed."""
        text = f"You changed this message:\n\n{_shown(order)}\n\nRun it again{_on(order)}?"
        await self._hold(EDIT, message, machine, order, text, ("Run again", "No"))

    async def drop(self, message: InboundMessage, reason: str) -> None:
        """Put on record that a message is not run."""
        await put_refusal_on_record(
            self._trail, message, reason, event_type=AuditType.MESSAGE_DROPPED
        )

    async def sweep(self) -> None:
        """End the asks that nobody has answered in time."""
        for ask in await self._asks.overdue(self._ports.clock.now()):
            if ask.kind not in HELD:
                await self._asks.close(ask.id, NOT_CHOSEN)
                continue
            # The line first: an ask that is closed is looked at no more.
            await self._trail.record(
                self._trail.event(
                    AuditType.MESSAGE_DROPPED,
                    severity=AuditSeverity.WARNING,
                    reason="nobody answered in time",
                    kind=ask.kind,
                    channel=ask.address.channel,
                    chat_id=ask.address.chat_id,
                )
            )
            await self._asks.close(ask.id, NOT_RUN)

    async def _hold(
        self,
        kind: str,
        message: InboundMessage,
        machine: MachinePorts,
        order: Order,
        text: str,
        labels: tuple[str, str],
    ) -> None:
        now = self._ports.clock.now()
        is_open = await self._asks.open(
            Ask(
                id=short_id(kind, order.id),
                kind=kind,
                address=message.address,
                text=text,
                choices=(
                    Choice(label=labels[0], value=RUN, style=ButtonStyle.POSITIVE),
                    Choice(label=labels[1], value=DROP),
                ),
                asked=message.sender_id,
                deed=Deed.ORDER,
                machine=machine.name,
                reply_to=message.message_id,
                subject=cast("JSONObject", {"order": json.loads(encode_order(order))}),
                opened_at=now,
                expires_at=now + GOOD_FOR,
            )
        )
        await self._trail.record(
            self._trail.event(
                AuditType.MESSAGE_HELD,
                kind=kind,
                key=message.key,
                channel=message.channel,
                chat_id=message.chat_id,
                person=message.sender_id,
                # Answered before this could be written: every message leaves a line all the same.
                is_repeated=not is_open or None,
            )
        )

    async def _decided(self, ask: Ask, values: Sequence[str], by: Inbound) -> str:
        if list(values) != [RUN]:
            await self._trail.record(
                self._trail.event(
                    AuditType.MESSAGE_DROPPED,
                    reason="a person said so",
                    kind=ask.kind,
                    channel=by.channel,
                    chat_id=by.chat_id,
                    person=by.sender_id,
                )
            )
            return "_Not run._"
        machine = self._ports.find_machine(ask.machine or "") or self._ports.default_machine
        data = json.dumps(ask.subject["order"]).encode()
        received_at = ask.opened_at or self._ports.clock.now()
        order = decode_order(data, name="held", received_at=received_at)
        await self._submitter.submit(machine, order)
        return "_It runs._"


def _shown(order: Order) -> str:
    words = preview(order.payload) or ", ".join(m.name or "a file" for m in order.media)
    return f"> {plain(words)}"


def _on(order: Order) -> str:
    # One message may be held for several machines, with a question for each.
    return f" on **{plain(order.target)}**" if order.target else ""


def _age(age: timedelta) -> str:
    minutes = int(age.total_seconds() // 60)
    if minutes < 120:  # noqa: PLR2004 - two hours are better said in hours
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2 * 24 * 60 else f"{minutes // (24 * 60)} days"
