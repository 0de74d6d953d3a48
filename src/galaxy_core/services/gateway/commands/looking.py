"""Commands that only look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from galaxy_core.domain.audit import AuditQuery, AuditRecord, AuditSeverity
from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Heartbeat, OrderView
from galaxy_core.domain.people import Deed, may
from galaxy_core.domain.state import OrderState
from galaxy_core.services.backlog import live_orders
from galaxy_core.services.folders import find_among
from galaxy_core.services.gateway.commands.call import Call
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.gateway.markup import code, plain
from galaxy_core.services.trail import preview

DEAD_AFTER = timedelta(minutes=2)
"""Age of a heartbeat from which on Hermes counts as dead (the specification's number)."""
LIVE = (OrderState.RUNNING, OrderState.CLAIMED, OrderState.PENDING)
LISTED = 15
_TELLING = ("text", "message", "reason", "error")
"""Members of a line that say what is the matter, in words."""
AWAY = "⚠️ its folder cannot be read now"
HISTORY = 10
ALERTS = 10
WORTH_A_LOOK = frozenset({AuditSeverity.CRITICAL, AuditSeverity.ERROR, AuditSeverity.WARNING})

_WORDS = {
    OrderState.PENDING: "waiting",
    OrderState.CLAIMED: "beginning",
    OrderState.RUNNING: "running",
}
_SIGNS = {
    OrderState.PENDING: "⏳",
    OrderState.CLAIMED: "▶️",
    OrderState.RUNNING: "▶️",
    OrderState.SUCCEEDED: "✅",
    OrderState.FAILED: "❌",
    OrderState.CANCELLED: "🚫",
    OrderState.EXPIRED: "⌛",
    OrderState.DEAD: "☠️",
}


async def status(call: Call) -> str:
    """`/status [machine|all]`."""
    machines = await call.machines(call.arguments.strip())
    if isinstance(machines, str):
        return machines
    now = call.tools.ports.clock.now()
    return "\n\n".join([await _told(m, partial(_machine_status, m, now)) for m in machines])


async def machines(call: Call) -> str:
    """`/machines`."""
    now = call.tools.ports.clock.now()
    own = await call.machine()
    lines = []
    for machine in call.tools.ports.machines.values():
        mark = " (this conversation's)" if machine is own else ""
        try:
            health = _health(await machine.presence.read(), now)
        except TransientError:
            health = AWAY
        lines.append(f"- **{machine.name}**{mark}: {health}")
    lines += [f"- {n}: not served from here" for n in sorted(call.tools.config.other_machines)]
    if len(call.tools.ports.machines) > 1:
        lines.append("\n`/order NAME …` gives an order to one, `/machine NAME` chooses one.")
    return "\n".join(lines)


async def queue(call: Call) -> str:
    """`/queue`."""
    machines = call.tools.ports.folders
    blocks = [await _told(m, partial(_machine_queue, call, m)) for m in machines]
    return "\n\n".join(filter(None, blocks)) or "Nothing waits and nothing runs."


async def history(call: Call) -> str:
    """`/history [ID]`: the conversation's last orders, or one of them with its answer."""
    wanted = call.arguments.strip().strip("`")
    if wanted:
        return await _one_order(call, OrderId(wanted))
    found: list[OrderView] = []
    away: list[str] = []
    for machine in call.tools.ports.folders:
        try:
            views = await machine.catalogue.list(limit=200)
        except TransientError:
            away.append(_away(machine))
            continue
        found += [v for v in views if v.order.conversation(machine.name) == call.conversation]
    if not found:
        return "\n".join([*away, "This conversation has no orders yet."])
    found.sort(key=_when, reverse=True)
    lines = [_line(call, view) for view in found[:HISTORY]]
    return "\n".join([*away, *lines, "\n`/history ID` shows an answer again."])


async def alerts(call: Call) -> str:
    """`/alerts`: warnings and errors of the trail, the newest first."""
    records: list[AuditRecord] = []
    lines: list[str] = []
    ports = call.tools.ports
    trails = [(_away(machine), machine.audit_trail) for machine in ports.folders]
    if ports.home_trail is not None:
        trails.append((f"**{call.tools.config.home}**: {AWAY}", ports.home_trail))
    for away, trail in trails:
        try:
            records += await trail.read(AuditQuery(limit=ALERTS, severities=WORTH_A_LOOK))
        except TransientError:
            lines.append(away)
    events = sorted((r.event for r in records), key=lambda e: e.timestamp, reverse=True)
    lines += [
        f"- {event.timestamp:%d %b %H:%M} **{event.event_type.replace('_', ' ')}**"
        + (f" `{event.order_id}`" if event.order_id else "")
        + _detail(next((event.data[k] for k in _TELLING if event.data.get(k)), None))
        for event in events[:ALERTS]
    ]
    return "\n".join(lines) or "No warnings, no errors."


async def whoami(call: Call) -> str:
    """`/whoami`."""
    message = call.message
    lines = [
        f"You are **{call.role.value}**: `{message.channel}:{message.sender_id}`.",
        f"This conversation is `{call.conversation}`, on **{(await call.machine()).name}**.",
    ]
    return "\n".join(lines)


# ---- parts


def _away(machine: MachinePorts) -> str:
    return f"**{machine.name}**: {AWAY}"


async def _told(machine: MachinePorts, tell: Callable[[], Awaitable[str]]) -> str:
    """What can be told of a machine: one whose folder is away must not hide the others."""
    try:
        return await tell()
    except TransientError:
        return _away(machine)


async def _machine_queue(call: Call, machine: MachinePorts) -> str:
    backlog = await live_orders(machine.catalogue)
    if not backlog.views and not backlog.unseen:
        return ""
    names = ", ".join(m.name for m in call.tools.ports.sharing(machine))
    shown = sorted(backlog.views, key=lambda v: (v.state is OrderState.PENDING, v.place or 0))
    counted = f"{len(backlog.held)} running, {backlog.number_waiting} waiting"
    lines = [f"**{names}**: {counted}", *(_line(call, v) for v in shown[:LISTED])]
    more = len(shown) + backlog.unseen - LISTED
    if more > 0:
        lines.append(f"… and {more} more")
    return "\n".join(lines)


async def _machine_status(machine: MachinePorts, now: datetime) -> str:
    beat = await machine.presence.read()
    # Not those that have ended: that would look at every order that there ever was.
    counts = await machine.catalogue.count(states=frozenset(LIVE))
    words = [f"{counts[state]} {_WORDS[state]}" for state in LIVE if counts.get(state)]
    lines = [f"**{machine.name}**: {_health(beat, now)}"]
    lines.append("Orders: " + (", ".join(words) or "none open"))
    if beat is not None:
        lines.append(f"Done since the start: {beat.orders_processed}, failed: {beat.failure_count}")
    return "\n".join(lines)


def _health(beat: Heartbeat | None, now: datetime) -> str:
    if beat is None:
        return "🔴 Hermes has never run here: start `galaxy-hermes`"
    age = now - beat.last_heartbeat_at
    if beat.status == "stopped":
        return f"⚪ Hermes was stopped {_ago(age)} ago; orders wait"
    if age > DEAD_AFTER:
        return f"🔴 no sign of life for {_ago(age)}; orders wait"
    if beat.agent_answers is False:
        return "🟠 the agent does not answer; it is replaced within a minute, and orders go on"
    up = _ago(now - beat.started_at)
    doing = f"{len(beat.running)} running" if beat.running else "idle"
    return f"🟢 {doing}, up {up}" + (f", {beat.dispatcher}" if beat.dispatcher else "")


def _line(call: Call, view: OrderView) -> str:
    """One order; its text only where it was written, or to an owner."""
    order = view.order
    is_own = order.channel == call.message.channel and order.chat_id == call.message.chat_id
    text = preview(order.payload)[:60] if is_own or may(call.role, Deed.STEER_ALL) else "…"
    place = f" (place {view.place})" if view.place and view.place > 1 else ""
    return f"- {_SIGNS[view.state]} `{order.id}`{place} {plain(text)}"


async def _one_order(call: Call, order_id: OrderId) -> str:
    found = await find_among(call.tools.ports.machines.values(), order_id)
    if found is not None:
        machine, view = found
        is_own = view.order.conversation(machine.name) == call.conversation
        if is_own or may(call.role, Deed.STEER_ALL):
            response = await machine.responses.get(order_id)
            head = f"{_SIGNS[view.state]} `{order_id}` on **{machine.name}**: {view.state.value}"
            return f"{head}\n\n{response.text}" if response else head
    return f"I know no order {code(order_id)} of this conversation. /history lists them."


def _when(view: OrderView) -> float:
    time = view.ending.finished_at if view.ending else view.received_at or view.order.timestamp
    return time.timestamp() if time else 0.0


def _detail(value: object) -> str:
    return f": {plain(str(value)[:120])}" if value else ""


def _ago(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
