"""One command as a person gave it, and what every command works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import frozen

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.order import Order
from galaxy_core.domain.people import Deed, Role
from galaxy_core.services.gateway.asks import AskDesk
from galaxy_core.services.gateway.choices import Choices, conversation_of
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts, MachinePorts
from galaxy_core.services.gateway.intake import Intake
from galaxy_core.services.gateway.markup import code
from galaxy_core.services.gateway.pairing import PairingDesk
from galaxy_core.services.gateway.roster import Roster


@frozen(kw_only=True)
class Tools:
    """What commands work with."""

    config: GatewayConfig
    ports: GatewayPorts
    choices: Choices
    roster: Roster
    pairing: PairingDesk
    asks: AskDesk
    intake: Intake
    watch: Callable[[MachinePorts, Order], None]
    """Has people shown how an order gets on; never waits."""


@frozen(kw_only=True)
class Call:
    """`/name arguments`, and who says so."""

    message: InboundMessage
    arguments: str
    role: Role
    tools: Tools

    @property
    def conversation(self) -> ConversationKey:
        """The conversation that it is said in."""
        return ConversationKey(conversation_of(self.message.address))

    @property
    def by(self) -> str:
        """Who says so, as it is put on record."""
        return f"{self.message.channel}:{self.message.sender_id}"

    async def machine(self) -> MachinePorts:
        """The conversation's machine."""
        return await self.tools.choices.machine_of(self.message.address, self.tools.ports)

    async def machines(self, named: str) -> list[MachinePorts] | str:
        """The machines meant by `named` (nothing: the conversation's own, `all`: all served here).

        A sentence where there is none.
        """
        if not named:
            return [await self.machine()]
        if named.casefold() == "all":
            return list(self.tools.ports.machines.values())
        machine = self.tools.ports.find_machine(named)
        if machine is not None:
            return [machine]
        known = ", ".join(f"`{name}`" for name in self.tools.ports.machines)
        if named.casefold() in self.tools.config.other_machines:
            return (
                f"**{named}** is in the settings, but no Hermes that I can reach serves it: "
                f"start `galaxy-gateway` there, or choose one of {known}."
            )
        return f"I know no machine {code(named)}. There are: {known}."


@frozen(kw_only=True)
class Command:
    """One command: what it is called, who may use it, what it does."""

    name: str
    description: str
    run: Callable[[Call], Awaitable[str | None]]
    """The answer in Markdown; None when it has answered in another way.  Safe twice."""
    deed: Deed = Deed.LOOK
    usage: str = ""

    @property
    def is_quick(self) -> bool:
        """Whether it may be carried out before messages that came earlier: it only looks."""
        return self.deed is Deed.LOOK
