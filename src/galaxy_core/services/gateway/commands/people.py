"""Commands about people and about commands."""

from __future__ import annotations

from galaxy_core.domain.people import Deed, Role, may
from galaxy_core.services.gateway.commands.call import Call
from galaxy_core.services.gateway.markup import code, plain
from galaxy_core.services.gateway.pairing import PairingFailed


async def start(call: Call) -> str:
    """`/start` of somebody on the list."""
    machine = await call.machine()
    if not may(call.role, Deed.ORDER):
        return f"Welcome. You can look at **{machine.name}**: /status, /queue, /help."
    return (
        f"Ready. Write what is to be done, and **{machine.name}** does it; photos, documents and "
        "forwarded messages come along. /help lists the commands."
    )


async def pair(call: Call) -> str:
    """`/pair CODE [ROLE]`: let in the person who was shown the code."""
    wanted, _, role = call.arguments.strip().partition(" ")
    if not wanted:
        waiting = await call.tools.pairing.open()
        lines = [
            f"- {plain(r.name or r.person_id)} ({code(f'{r.address.channel}:{r.person_id}')})"
            for r in waiting
        ]
        head = "They wait to be let in; ask them for their code:" if lines else "Nobody waits."
        return "\n".join(
            [head, *lines, "\n`/pair CODE` lets a person in, `/pair CODE viewer` to look."]
        )
    if role and role.strip().casefold() not in set(Role):
        return f"A role is one of {', '.join(f'`{each.value}`' for each in Role)}."
    try:
        person = await call.tools.pairing.confirm(
            wanted,
            by=call.by,
            key=call.message.key,
            role=Role(role.strip().casefold()) if role else None,
        )
    except PairingFailed as error:
        return str(error)
    return f"**{plain(person.name or person.id)}** is in, as {person.role.value}."
