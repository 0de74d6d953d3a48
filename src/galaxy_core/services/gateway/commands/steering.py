"""Commands that give orders, end them, and choose how a conversation goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from attrs import evolve

from galaxy_core.domain.ask import Ask, Choice, short_id
from galaxy_core.domain.errors import (
    OrderNotDismissable,
    OrderNotFound,
    OrderNotRetryable,
    TransientError,
)
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.message import Inbound
from galaxy_core.domain.operations import Cancellation, OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.people import Deed, may
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import FINAL, LIVE, OrderState
from galaxy_core.ports.note_store import Note
from galaxy_core.services.folders import find_among
from galaxy_core.services.gateway.asks import Handler
from galaxy_core.services.gateway.choices import Choices
from galaxy_core.services.gateway.commands.call import Call
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.gateway.markup import code, plain

MACHINE, PROJECT = "machine", "project"
NONE = "-"
"""What takes a choice back."""
ENDED_BADLY = FINAL - {OrderState.SUCCEEDED}
GIVEN_UP = frozenset({OrderState.DEAD})
LOOKED_AT = 500
"""Newest orders among which the one is looked for that a command means."""
SESSIONS = 15
MEANT = "meant"
"""Notes: which order a command means that names none, by the command's message."""
GOOD_FOR = timedelta(hours=12)
"""How long an offer of choices stays open."""

_CANCELLED = {
    Cancellation.ENDED: "Cancelled `{}`; it had not begun.",
    Cancellation.REQUESTED: "Stopping `{}` …",
    Cancellation.ALREADY_ENDED: "`{}` is over already.",
}


async def order(call: Call) -> str | None:
    """`/order [machine|all] TEXT`."""
    named, _, rest = call.arguments.strip().partition(" ")
    known = await call.machines(named) if named else "nothing"
    if isinstance(known, str):
        # The first word is no machine: it belongs to the text, unless it is one served elsewhere.
        if named.casefold() in call.tools.config.other_machines:
            return known
        known, rest = [await call.machine()], call.arguments.strip()
    if not rest.strip() and not call.message.files and not call.message.quotes:
        return "Write what is to be done: `/order fix the tests`, or `/order laptop fix the tests`."
    await call.tools.intake.order(
        call.message,
        rest.strip(),
        known,
        call.role,
        is_for_each=named.casefold() == "all" and len(known) > 1,
    )
    return None


async def cancel(call: Call) -> str:
    """`/cancel [ID]`: an order, or what runs in this conversation."""
    found = await _find(call, LIVE)
    if isinstance(found, str):
        return found
    machine, view = found
    cancellation = await machine.desk.cancel(view.order.id, by=call.by)
    return _CANCELLED[cancellation].format(view.order.id)


async def retry(call: Call) -> str:
    """`/retry [ID]`: an order that did not succeed, or the last such one of this conversation."""
    found = await _find(call, ENDED_BADLY)
    if isinstance(found, str):
        return found
    machine, view = found
    try:
        new_id = await machine.desk.retry(view.order.id, by=call.by)
    except (OrderNotFound, OrderNotRetryable) as error:
        return str(error)
    again = await machine.catalogue.get(new_id)
    if again is not None:
        call.tools.watch(machine, again.order)
    return f"`{view.order.id}` runs again, as `{new_id}`."


async def dismiss(call: Call) -> str:
    """`/dismiss [ID]`: an order that was given up, or the last such one of this conversation."""
    found = await _find(call, GIVEN_UP)
    if isinstance(found, str):
        return found
    machine, view = found
    try:
        is_new = await machine.desk.dismiss(view.order.id, by=call.by)
    except (OrderNotFound, OrderNotDismissable) as error:
        return str(error)
    if not is_new:
        return f"`{view.order.id}` was decided on before."
    return f"`{view.order.id}` waits for no decision any more."


async def new(call: Call) -> str:
    """`/new`: the next order begins a new session."""
    machine = await call.machine()
    await machine.sessions.reset(call.conversation)
    return "A fresh start: the next message begins a new session."


async def sessions(call: Call) -> str:
    """`/sessions`."""
    lines = []
    for machine in call.tools.ports.folders:
        for session in (await machine.sessions.list())[:SESSIONS]:
            if session.conversation != call.conversation and not may(call.role, Deed.STEER_ALL):
                continue
            mark = " ← this one" if session.conversation == call.conversation else ""
            used = f", {session.updated_at:%d %b %H:%M}" if session.updated_at else ""
            choices = "".join(f", {c}" for c in (session.agent, session.model) if c)
            lines.append(f"- `{session.conversation}` on {machine.name}{used}{choices}{mark}")
    return "\n".join(lines) or "No sessions yet: the first message begins one."


async def agent(call: Call) -> str:
    """`/agent [NAME]`."""
    machine = await call.machine()
    session = await _session(call, machine)
    name = call.arguments.strip()
    if not name:
        current = plain(session.agent or "the machine's default")
        return (
            f"Agent of this conversation: **{current}**. `/agent NAME` changes it, `/agent -` "
            "takes that back."
        )
    await machine.sessions.put(evolve(session, agent=None if name == NONE else name))
    if name == NONE:
        return "From the next message on: the machine's default agent."
    return f"From the next message on: agent **{plain(name)}**."


async def model(call: Call) -> str:
    """`/model [PROVIDER/MODEL]`."""
    machine = await call.machine()
    session = await _session(call, machine)
    name = call.arguments.strip()
    if not name:
        current = plain(session.model or "the machine's default")
        return (
            f"Model of this conversation: **{current}**. `/model PROVIDER/MODEL` changes it, "
            "`/model -` takes that back."
        )
    if name != NONE and "/" not in name:
        return "A model is named `provider/model`, as `opencode models` lists them."
    await machine.sessions.put(evolve(session, model=None if name == NONE else name))
    if name == NONE:
        return "From the next message on: the machine's default model."
    return f"From the next message on: **{plain(name)}**."


async def machine(call: Call) -> str | None:
    """`/machine [NAME]`: where this conversation's orders go."""
    name = call.arguments.strip()
    if name:
        found = await call.machines(name)
        if isinstance(found, str) or len(found) != 1:
            return found if isinstance(found, str) else "Choose one machine."
        await call.tools.choices.choose_machine(call.message.address, found[0].name)
        return f"From the next message on: **{found[0].name}**."
    current = (await call.machine()).name
    names = list(call.tools.ports.machines)
    if len(names) == 1:
        return f"There is one machine: **{current}**."
    await _offer(call, MACHINE, f"This conversation works on **{current}**. Where next?", names)
    return None


async def project(call: Call) -> str | None:
    """`/project [NAME]`: which project this conversation's orders are for."""
    name, known = call.arguments.strip(), list(call.tools.config.projects)
    if not known:
        return "The settings name no projects."
    if name:
        found = next((each for each in known if each.casefold() == name.casefold()), None)
        if name != NONE and found is None:
            return f"I know no project {code(name)}. There are: {', '.join(known)}."
        await call.tools.choices.choose_project(call.message.address, found)
        return f"From the next message on: **{found or 'no project'}**."
    current = (await call.tools.choices.of(call.message.address)).project or "no project"
    await _offer(call, PROJECT, f"Project of this conversation: **{current}**. Which next?", known)
    return None


def choosing(choices: Choices) -> Mapping[str, Handler]:
    """Who takes the answers to what is offered here, by kind."""

    async def machine_chosen(ask: Ask, values: Sequence[str], by: Inbound) -> str:
        del by
        await choices.choose_machine(ask.address, values[0])
        return f"_From the next message on: {values[0]}._"

    async def project_chosen(ask: Ask, values: Sequence[str], by: Inbound) -> str:
        del by
        await choices.choose_project(ask.address, values[0])
        return f"_From the next message on: {values[0]}._"

    return {MACHINE: machine_chosen, PROJECT: project_chosen}


async def _offer(call: Call, kind: str, text: str, names: Sequence[str]) -> None:
    await call.tools.asks.open(
        Ask(
            id=short_id(kind, call.message.key),
            kind=kind,
            address=call.message.address,
            text=text,
            choices=tuple(Choice(label=name, value=name) for name in names),
            deed=Deed.ORDER,
            reply_to=call.message.message_id,
            expires_at=call.tools.ports.clock.now() + GOOD_FOR,
        )
    )


async def _session(call: Call, machine: MachinePorts) -> Session:
    known = await machine.sessions.get(call.conversation)
    return known or Session(conversation=call.conversation)


async def _find(call: Call, states: frozenset[OrderState]) -> tuple[MachinePorts, OrderView] | str:
    """The order that is meant, if this person may steer it; else a sentence."""
    wanted = call.arguments.strip().strip("`")
    if not wanted:
        return await _meant(call, states)
    found = await find_among(call.tools.ports.machines.values(), OrderId(wanted))
    if found is None:
        return f"I know no order {code(wanted)}. /queue and /history list them."
    return found if _is_theirs(call, found[1].order) else _NOT_YOURS


async def _meant(call: Call, states: frozenset[OrderState]) -> tuple[MachinePorts, OrderView] | str:
    """The order that a command without an id means.

    It is written down: a command that is carried out once more after a crash, when that order is
    over, must not mean the next one.
    """
    ports = call.tools.ports
    note = await ports.notes.get(MEANT, call.message.key)
    if note is None:
        chosen = await _newest(call, states)
        if chosen is None:
            return "Nothing of that kind in this conversation. /queue shows everything."
        machine, view = chosen
        value = {"machine": machine.name, "order": view.order.id}
        note = Note(kind=MEANT, key=call.message.key, value=dict(value))
        if await ports.notes.add([note]):
            return chosen
        return "I have done that already."
    known = ports.find_machine(str(note.value.get("machine")))
    found = known and await known.catalogue.get(OrderId(str(note.value.get("order"))))
    return (known, found) if known and found else "I do not know that order any more."


async def _newest(
    call: Call, states: frozenset[OrderState]
) -> tuple[MachinePorts, OrderView] | None:
    away: TransientError | None = None
    for machine in call.tools.ports.folders:
        try:
            # All that ended: one that must be in a certain state may be far down in the archive.
            looked = FINAL if states & FINAL else states
            views = await machine.catalogue.list(states=looked, limit=LOOKED_AT)
        except TransientError as error:
            away = error
            continue
        # Of those that were given up, one that somebody has decided on is nobody's task any more.
        is_open = states == GIVEN_UP
        views = [v for v in views if v.state in states and not (is_open and v.is_decided)]
        own = [v for v in views if v.order.conversation(machine.name) == call.conversation]
        running = [v for v in own if v.state is not OrderState.PENDING]
        for view in (*running, *own):
            if _is_theirs(call, view.order):
                return machine, view
    if away is not None:
        raise away
    return None


_NOT_YOURS = "That order is somebody else's: only they or an owner can do that."


def _is_theirs(call: Call, order: Order) -> bool:
    if may(call.role, Deed.STEER_ALL):
        return True
    is_here = order.channel == call.message.channel and order.chat_id == call.message.chat_id
    return is_here and order.person_id in {None, call.message.sender_id}
