"""From a message to orders: who may, where to, whether still, and then exactly once.

Whatever is done here is named after the message, so a crash at any point leaves a message that is
taken once more, with the same result.  Only then is it confirmed (by the caller).
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from attrs import define, evolve, field

from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.message import InboundMessage, Origin
from galaxy_core.domain.order import Order
from galaxy_core.domain.people import Deed, Role, may
from galaxy_core.domain.policy import StalePolicy, why_refused
from galaxy_core.services.gateway.choices import Choices
from galaxy_core.services.gateway.composing import compose, order_id_for
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts, MachinePorts
from galaxy_core.services.gateway.holding import HoldingDesk
from galaxy_core.services.gateway.limits import PersonLimits
from galaxy_core.services.gateway.luggage import Luggage
from galaxy_core.services.gateway.refusing import RefusalDesk, put_refusal_on_record
from galaxy_core.services.gateway.replies import Replies
from galaxy_core.services.gateway.submitting import Submitter
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

_ORIGINS = {
    Origin.ANONYMOUS_ADMIN: "somebody who writes in the name of a group",
    Origin.CHANNEL_POST: "a channel's post",
    Origin.BOT: "a program",
    Origin.GUEST: "a guest",
    Origin.BUSINESS: "a customer of a business account",
}


@define
class Doorkeeper:
    """Decides who is heard at all."""

    _config: GatewayConfig
    _trail: Trail

    async def admits(self, message: InboundMessage, role: Role | None) -> bool:
        """Whether the message is looked at any further; a refusal is on record.

        Strangers get no answer: who asks whether a bot is there learns nothing.
        """
        if message.is_group and not message.is_addressed:
            return False
        reason = self._why_not(message, role)
        if reason is None:
            return True
        await put_refusal_on_record(self._trail, message, reason)
        return False

    def _why_not(self, message: InboundMessage, role: Role | None) -> str | None:
        if message.origin is not Origin.PERSON:
            return f"it comes from {_ORIGINS[message.origin]}"
        if role is None:
            return "its sender is not on the list"
        if message.is_group and (message.channel, message.chat_id) not in self._config.groups:
            return "the group is not on the list"
        return None


@define
class Intake:
    """Makes orders of the messages of people who are on the list."""

    _config: GatewayConfig
    _ports: GatewayPorts
    _choices: Choices
    _replies: Replies
    _holding: HoldingDesk
    _submitter: Submitter
    _refusals: RefusalDesk
    _limits: PersonLimits = field(init=False)
    _luggage: Luggage = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._limits = PersonLimits(self._config, self._ports.clock)
        self._luggage = Luggage(self._ports.channels, self._ports.transcriber)

    async def take(self, message: InboundMessage, role: Role | None) -> None:
        """Take a plain message: an order for the conversation's machine."""
        machine = await self._choices.machine_of(message.address, self._ports)
        await self.order(message, message.text, [machine], role)

    async def order(
        self,
        message: InboundMessage,
        text: str,
        machines: Sequence[MachinePorts],
        role: Role | None,
        *,
        is_for_each: bool = False,
    ) -> None:
        """Make orders of a message; `is_for_each` gives each machine an order of its own id.

        Raises `TransientError` when it has to be taken again later.
        """
        if message.is_edit:
            await self._offer_again(message, text, machines, role, is_for_each=is_for_each)
            return
        if not may(role, Deed.ORDER):
            cannot = "You can look, but not give orders: ask an owner."
            await self._refusals.refuse(message, cannot)
            return
        wanted = [(machine, machine.name if is_for_each else None) for machine in machines]
        if await self._was_taken(message, wanted):
            return
        for machine in machines:
            if (sentence := await self._limits.why_not(message, machine)) is not None:
                await self._refusals.refuse(message, sentence)
                return
        orders = []
        for machine, name in wanted:
            order = await self._compose(message, text, machine, name)
            if order is None:
                return
            orders.append((machine, order))
        for machine, order in orders:
            await self._decide(message, machine, order)

    async def _was_taken(
        self, message: InboundMessage, wanted: Sequence[tuple[MachinePorts, str | None]]
    ) -> bool:
        """Whether a crash came after the orders: counted again, they might be refused now."""
        known = []
        for machine, name in wanted:
            wanted_id = order_id_for(message, name)
            view = await machine.catalogue.get(wanted_id, only_enqueued=True)
            if view is None or view.order.idempotency_key is None:
                return False
            known.append((machine, view.order))
        for machine, order in known:
            await self._submitter.submit(machine, order)
        return True

    async def _compose(
        self, message: InboundMessage, text: str, machine: MachinePorts, name: str | None
    ) -> Order | None:
        """The order; None when the message cannot be one, and its sender knows why."""
        order_id = order_id_for(message, name)
        try:
            packed = await self._luggage.unpack(message, machine.layout.inbound_files(order_id))
        except PermanentError as error:
            await self._refusals.refuse(message, str(error))
            return None
        order = compose(
            evolve(message, quotes=message.quotes + packed.quotes),
            "\n\n".join(part for part in (text, packed.spoken) if part),
            media=packed.media,
            project=(await self._choices.of(message.address)).project,
            projects=self._config.projects,
            machine=name,
        )
        if len(self._ports.sharing(machine)) > 1:
            # Without it whichever of the folder's machines came first would take the order.
            order = evolve(order, target=machine.name)
        if (sentence := why_refused(order, self._config.order_limits)) is not None:
            await self._refusals.refuse(message, sentence)
            return None
        return order

    async def _decide(self, message: InboundMessage, machine: MachinePorts, order: Order) -> None:
        """Run it, ask first, or drop it."""
        own_files = any(not file.is_passed_on for file in message.files)
        if not message.text.strip() and not own_files:
            await self._holding.hold_forward(message, machine, order)
            return
        policy = self._config.staleness.decide(sent_at=message.sent_at, now=self._ports.clock.now())
        if policy is StalePolicy.RUN:
            await self._submitter.submit(machine, order)
        elif policy is StalePolicy.ASK:
            await self._holding.hold_stale(message, machine, order)
        else:
            await self._holding.drop(message, "it came while nothing ran here, and is too old now")
            await self._replies.say(
                message, "This came while I was away, and is too old now: I have not run it."
            )

    async def _offer_again(
        self,
        message: InboundMessage,
        text: str,
        machines: Sequence[MachinePorts],
        role: Role | None,
        *,
        is_for_each: bool,
    ) -> None:
        """An edited message runs again only when a person says so."""
        if not may(role, Deed.ORDER) or not await self._was_order(message):
            await self._holding.drop(message, "it changes a message that was no order")
            return
        again = evolve(
            message, message_id=f"{message.message_id}-edit-{message.key}", is_edit=False
        )
        for machine in machines:
            name = machine.name if is_for_each else None
            order = await self._compose(again, text, machine, name)
            if order is None:
                return
            order = evolve(order, reply_to=message.message_id)
            await self._holding.hold_edit(message, machine, order)

    async def _was_order(self, message: InboundMessage) -> bool:
        """Whether it had become an order, of any machine, before it was edited."""
        for machine in self._ports.machines.values():
            for name in (None, machine.name):
                order_id = order_id_for(message, name)
                if await machine.catalogue.get(order_id, only_enqueued=True) is not None:
                    return True
        return False
