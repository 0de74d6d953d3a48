"""What a conversation has chosen for its next orders: machine and project.

Agent and model belong to the machine's session store, since Hermes needs them.
"""

from __future__ import annotations

from attrs import define, evolve, frozen

from galaxy_core.domain.message import Address
from galaxy_core.ports.note_store import Note, NoteStore
from galaxy_core.services.gateway.config import GatewayPorts, MachinePorts
from galaxy_core.services.gateway.records import read
from galaxy_core.wire.structure import to_json

CONVERSATION = "conversation"


@frozen(kw_only=True)
class Chosen:
    """None means that nothing was chosen."""

    machine: str | None = None
    project: str | None = None


@define
class Choices:
    """Remembers them, durably."""

    _notes: NoteStore

    async def of(self, address: Address) -> Chosen:
        """What the conversation has chosen."""
        note = await self._notes.get(CONVERSATION, conversation_of(address))
        return read(note, Chosen) or Chosen()

    async def choose_machine(self, address: Address, machine: str | None) -> None:
        """The next orders of the conversation go there; safe twice."""
        await self._put(address, evolve(await self.of(address), machine=machine))

    async def choose_project(self, address: Address, project: str | None) -> None:
        """The next orders of the conversation are for that project; safe twice."""
        await self._put(address, evolve(await self.of(address), project=project))

    async def machine_of(self, address: Address, ports: GatewayPorts) -> MachinePorts:
        """The conversation's machine: the chosen one while it is served here, else the default."""
        chosen = (await self.of(address)).machine
        return (chosen and ports.find_machine(chosen)) or ports.default_machine

    async def _put(self, address: Address, chosen: Chosen) -> None:
        key = conversation_of(address)
        await self._notes.put([Note(kind=CONVERSATION, key=key, value=to_json(chosen))])


def conversation_of(address: Address) -> str:
    """The key of an address's conversation: as `Order.conversation` makes it of its orders."""
    parts = [address.channel, address.chat_id, *([address.topic] if address.topic else [])]
    return ":".join(parts)
