"""From the options that every command has to the machine's folder, and back to text."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

from galaxy_apps.cli.errors import UsageError
from galaxy_apps.settings import load
from galaxy_apps.wiring import Place
from galaxy_core.domain.errors import GalaxyError, OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView

if TYPE_CHECKING:
    from galaxy_core.ports.order_catalogue import OrderCatalogue

T = TypeVar("T")

STALE_HEARTBEAT = timedelta(seconds=30)
"""Hermes beats each five seconds: after six misses nobody counts on it."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def open_place(config: Path | None, machine: str | None) -> Place:
    """The machine that is meant; raises `SettingsError`."""
    configuration = load(config)
    return Place(configuration.settings, configuration.machine(machine))


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run a command's asynchronous part; a lone expected error comes out without a group."""
    if not gc.isenabled():  # see `main`: from here on a command may run for long
        gc.freeze()
        gc.enable()
    try:
        return anyio.run(work)
    except BaseExceptionGroup as group:
        errors: list[BaseException] = [group]
        while isinstance(errors[0], BaseExceptionGroup) and len(errors[0].exceptions) == 1:
            errors = list(errors[0].exceptions)
        if isinstance(errors[0], GalaxyError | BrokenPipeError | KeyboardInterrupt):
            raise errors[0] from None
        raise


def operator() -> str:
    """Who gives the command, for the trail."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in some containers
        return "somebody"


# ---- orders


async def find_order(catalogue: OrderCatalogue, text: str) -> OrderView:
    """The order with this id, else the only one whose id begins so; raises `OrderNotFound`.

    Beginnings are looked for among the newest orders only.
    """
    exact = await catalogue.get(OrderId(text))
    if exact is not None:
        return exact
    found = [view for view in await catalogue.list(limit=500) if view.order.id.startswith(text)]
    if not found or not text:
        raise OrderNotFound(f"There is no order {text!r}; `galaxy order list` shows what there is.")
    if len(found) > 1:
        ids = ", ".join(view.order.id for view in found[:3])
        raise UsageError(f"{len(found)} orders begin with {text!r} ({ids}, ...); write more of it")
    return found[0]


def order_document(view: OrderView) -> dict[str, Any]:
    """An order as JSON shows it; what is not known is null."""
    order, ending = view.order, view.ending
    usage = ending.usage if ending else None
    return {
        "order_id": order.id,
        "state": view.state.value,
        "payload": order.payload,
        "from": order.sender or None,
        "target": order.target,
        "priority": order.priority.word,
        "session": order.session,
        "channel": order.channel,
        "chat_id": order.chat_id,
        "agent": order.agent,
        "model": order.model,
        "project": order.project,
        "media": [item.path or item.url for item in order.media],
        "after": list(order.after),
        "timestamp": order.timestamp,
        "received_at": view.received_at,
        "not_before": order.not_before,
        "expires_at": order.expires_at,
        "attempts": ending.attempts if ending else view.attempts,
        "place": view.place,
        "waits_until": view.waits_until,
        "started_at": ending.started_at if ending else None,
        "finished_at": ending.finished_at if ending else None,
        "reason": ending.reason if ending else None,
        "session_id": ending.session_id if ending else None,
        "tokens": usage.total_tokens if usage else None,
        "cost_usd": usage.cost_usd if usage else None,
    }


# ---- times


def read_moment(text: str, option: str, *, is_past: bool = False) -> datetime:
    """A point in time: ISO 8601 (without an offset: this machine's), or 30m, 2h, 1d from now.

    With `is_past` the latter is ago.  Raises `UsageError`.
    """
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS:
            distance = timedelta(seconds=float(number) * _UNITS[unit])
            return datetime.now(UTC) + (-distance if is_past else distance)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: {text!r} is not a time; write it like 2026-02-28T18:00, 30m, 2h or 1d"
        ) from None


def local_time(moment: datetime | None) -> str:
    """A point in time for a person: this machine's time, to the second."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def seconds(value: float | None) -> timedelta | None:
    """An option's seconds."""
    return None if value is None else timedelta(seconds=value)


async def hermes_problem(place: Place) -> str | None:
    """Why nobody will work on the machine's orders now; None when a Hermes is alive."""
    heartbeat = await place.presence().read()
    start = "start it with `galaxy-hermes`"
    if heartbeat is None:
        return f"no Hermes has run in {place.machine.repo_path} yet; {start}"
    age = place.clock().now() - heartbeat.last_heartbeat_at
    if heartbeat.status == "stopped":
        return f"Hermes has been stopped ({local_time(heartbeat.stopped_at)}); {start}"
    if age > STALE_HEARTBEAT:
        return f"Hermes was last seen {local_time(heartbeat.last_heartbeat_at)}; {start}"
    return None


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 order`, `2 orders`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def joined(parts: Sequence[str]) -> str:
    """The parts that say something, with commas."""
    return ", ".join(filter(None, parts))
