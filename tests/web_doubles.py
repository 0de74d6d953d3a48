"""Front desk, insight and records that say what they are told, and a browser without a browser."""

# ruff: noqa: ANN401, D102 - doubles: the ports specify the methods

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import anyio
import httpx
from attrs import define, evolve, field
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message

from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.errors import (
    GalaxyError,
    InvalidOrder,
    MachineNotFound,
    OrderNotFound,
    OrderNotRetryable,
)
from galaxy_core.domain.ids import ConversationKey, OrderId, numbered
from galaxy_core.domain.insight import (
    AuditPage,
    Figures,
    Histogram,
    Level,
    LiveOrder,
    MachineInsight,
    Overview,
    Slot,
    Timeline,
)
from galaxy_core.domain.operations import Cancellation, OrderView, Progress
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import OrderLimits, why_refused
from galaxy_core.domain.response import Outcome, Response
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder, FrontDesk, Insight, Records
from galaxy_core.testing.clock import START
from galaxy_core.testing.factories import make_ending, make_heartbeat

NO_HISTOGRAM = Histogram(bounds=(1.0, 10.0), counts=(0, 0, 0), total_seconds=0.0)


@define(eq=False, kw_only=True)
class World(FrontDesk, Insight, Records):
    """All three ports over plain values; set them, ask, and look at what was done."""

    now: datetime = START
    machines: dict[str, MachineInsight] = field(
        factory=lambda: {
            "test": MachineInsight(
                name="test", level=Level.WELL, heartbeat=make_heartbeat(), counts={}
            )
        }
    )
    orders: dict[OrderId, FoundOrder] = field(factory=dict)
    progress: dict[str, Progress] = field(factory=dict)
    events: list[tuple[str, AuditEvent]] = field(factory=list)
    files: dict[str, tuple[str, ...]] = field(factory=dict)
    threads: list[tuple[str, Session]] = field(factory=list)
    findings: tuple[Any, ...] = ()
    level: Level = Level.WELL
    is_gateway_up: bool | None = None
    is_fresh: bool = True
    """Whether all waiting orders are listed, as they are now."""
    pieces: list[Slot] = field(factory=list)
    log: list[str] = field(factory=list)
    run_seconds: Histogram = NO_HISTOGRAM
    delivery_seconds: Histogram = NO_HISTOGRAM
    counted: dict[str, int] = field(factory=dict)
    is_up: dict[str, bool] = field(factory=dict)
    trouble: GalaxyError | None = None
    """Raised by everything."""
    done: list[tuple[str, ...]] = field(factory=list)
    """What was asked for: name and arguments."""
    changed: anyio.Event = field(factory=anyio.Event)

    # ---- for tests

    def put(self, order: Order, state: OrderState = OrderState.PENDING, **view: Any) -> FoundOrder:
        """Have an order stand so; an ended one has an ending."""
        if state.is_final and "ending" not in view:
            view["ending"] = make_ending(outcome=Outcome(state.value))
        response: Response | None = view.pop("response", None)
        machine = view.pop("machine", "test")
        found = FoundOrder(
            machine=machine,
            view=OrderView(order=order, state=state, **{"received_at": self.now, **view}),
            response=response,
        )
        self.orders[order.id] = found
        self.changed.set()
        self.changed = anyio.Event()
        return found

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble

    def _machine(self, name: str | None) -> MachineInsight:
        self._check()
        if name is None:
            return next(iter(self.machines.values()))
        if name not in self.machines:
            known = ", ".join(self.machines)
            raise MachineNotFound(f"No machine {name!r} is served here; there is: {known}.")
        return self.machines[name]

    def _order(self, order_id: OrderId) -> FoundOrder:
        self._check()
        if order_id not in self.orders:
            raise OrderNotFound(f"There is no order {order_id!r}.")
        return self.orders[order_id]

    # ---- FrontDesk

    async def submit(self, order: Order, *, machine: str | None = None) -> FoundOrder:
        place = self._machine(machine or order.target)
        if (refusal := why_refused(order, OrderLimits())) is not None:
            raise InvalidOrder(refusal)
        for known in self.orders.values():
            if order.idempotency_key and known.view.order.idempotency_key == order.idempotency_key:
                return known
        order = order if order.id else evolve(order, id=OrderId(f"api-{len(self.orders) + 1}"))
        if order.id in self.orders:
            return self.orders[order.id]
        return evolve(self.put(order, machine=place.name, place=1), is_new=True)

    async def get(self, order_id: OrderId) -> FoundOrder:
        return self._order(order_id)

    async def list(
        self,
        *,
        machine: str | None = None,
        states: frozenset[OrderState] | None = None,
        conversation: ConversationKey | None = None,
        limit: int = 50,
    ) -> Sequence[FoundOrder]:
        name = self._machine(machine).name if machine else None
        found = [
            evolve(item, response=None)
            for item in reversed(self.orders.values())
            if (name is None or item.machine == name)
            and (states is None or item.view.state in states)
            and conversation in {None, item.view.order.conversation(item.machine)}
        ]
        return found[:limit]

    async def wait(self, order_id: OrderId, patience: timedelta) -> FoundOrder:
        self.done.append(("wait", str(patience.total_seconds())))
        with anyio.move_on_after(patience.total_seconds()):
            while not self._order(order_id).view.state.is_final:
                await self.changed.wait()
        return self._order(order_id)

    async def cancel(self, order_id: OrderId, *, by: str) -> Cancellation:
        found = self._order(order_id)
        self.done.append(("cancel", order_id, by))
        if found.view.state.is_final:
            return Cancellation.ALREADY_ENDED
        if found.view.state is not OrderState.PENDING:
            return Cancellation.REQUESTED
        self.put(found.view.order, OrderState.CANCELLED, machine=found.machine)
        return Cancellation.ENDED

    async def retry(self, order_id: OrderId, *, by: str) -> OrderId:
        found = self._order(order_id)
        if found.view.state is OrderState.SUCCEEDED or not found.view.state.is_final:
            raise OrderNotRetryable(f"The order {order_id!r} has nothing to be retried.")
        self.done.append(("retry", order_id, by))
        new = evolve(found.view.order, id=numbered(order_id, 2))
        return self.put(new, machine=found.machine).view.order.id

    async def reset_session(self, conversation: ConversationKey, *, machine: str | None) -> bool:
        self._machine(machine)
        self.done.append(("reset", conversation, machine or ""))
        kept = [item for item in self.threads if item[1].conversation != conversation]
        had, self.threads = len(self.threads), kept
        return len(kept) < had

    # ---- Insight

    async def overview(self) -> Overview:
        self._check()
        return Overview(
            at=self.now,
            level=self.level,
            findings=self.findings,
            machines=tuple(self.machines.values()),
            is_gateway_up=self.is_gateway_up,
        )

    async def machine(self, name: str | None = None) -> MachineInsight:
        return self._machine(name)

    async def live(self) -> Sequence[LiveOrder]:
        self._check()
        found = [
            LiveOrder(
                machine=f.machine,
                view=f.view,
                progress=self.progress.get(f.view.order.id),
                is_fresh=self.is_fresh or f.view.state is not OrderState.PENDING,
            )
            for f in self.orders.values()
            if not f.view.state.is_final
        ]
        return sorted(found, key=lambda item: item.view.state is OrderState.PENDING)

    async def timeline(self, order_id: OrderId) -> Timeline:
        found = self._order(order_id)
        return Timeline(
            machine=found.machine,
            view=found.view,
            events=tuple(event for _, event in self.events if event.order_id == order_id),
            response=found.response,
            progress=self.progress.get(order_id),
            files=self.files.get(order_id, ()),
        )

    async def slots(self, since: datetime, width: timedelta) -> Sequence[Slot]:
        self._check()
        number = max(1, math.ceil((self.now - since) / width))
        slots = [Slot(begins=since + n * width) for n in range(number)]
        for slot in self.pieces:
            place = int((slot.begins - since) / width)
            if 0 <= place < number:
                slots[place] = _sum(slots[place], slot)
        return slots

    async def figures(self) -> Figures:
        self._check()
        return Figures(
            orders={
                (m.name, state): n for m in self.machines.values() for state, n in m.counts.items()
            },
            oldest_waiting={
                m.name: m.oldest_waiting for m in self.machines.values() if m.oldest_waiting
            },
            run_seconds=self.run_seconds,
            delivery_seconds=self.delivery_seconds,
            events=self.counted,
            is_agent_up=self.is_up or dict.fromkeys(self.machines, True),
        )

    # ---- Records

    async def audit(  # noqa: PLR0913 - as in the port
        self,
        *,
        text: str = "",
        event_type: str | None = None,
        severity: AuditSeverity | None = None,
        machine: str | None = None,
        since: datetime | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> AuditPage:
        self._check()
        found = [
            (name, event)
            for name, event in reversed(self.events)
            if text.casefold()
            in f"{event.event_type} {event.order_id} {dict(event.data)}".casefold()
            and event_type in {None, event.event_type}
            and severity in {None, event.severity}
            and machine in {None, name}
            and (since is None or event.timestamp >= since)
        ]
        begin = int(cursor) if cursor and cursor.isdigit() else 0
        end = begin + limit
        rest = str(end) if len(found) > end else None
        return AuditPage(events=tuple(found[begin:end]), cursor=rest)

    async def sessions(self) -> Sequence[tuple[str, Session]]:
        self._check()
        return self.threads

    async def health_log(self, limit: int = 50) -> Sequence[str]:
        self._check()
        return self.log[-limit:]


def _sum(slot: Slot, other: Slot) -> Slot:
    ended = Counter(slot.ended)
    ended.update(other.ended)
    return evolve(
        other,
        begins=slot.begins,
        ended=ended,
        tokens=slot.tokens + other.tokens,
        cost_usd=slot.cost_usd + other.cost_usd,
    )


# ---- asking


def browser(target: ASGIApp | list[BaseRoute], **headers: str) -> httpx.AsyncClient:
    """Somebody who asks an application, or routes without a site around them."""
    app = Starlette(routes=target) if isinstance(target, list) else target
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 50_000))
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:5000", headers=headers or None
    )


@define
class Streamed:
    """An answer that comes in pieces."""

    status: int
    headers: Mapping[str, str]
    _pieces: anyio.abc.ObjectReceiveStream[bytes]
    _buffer: bytes = b""

    async def event(self, seconds: float = 5.0) -> tuple[str, str]:
        """The next event: its name, its data.  Signs of life are passed over."""
        with anyio.fail_after(seconds):
            while True:
                block, gap, rest = self._buffer.partition(b"\n\n")
                if not gap:
                    self._buffer += await self._pieces.receive()
                    continue
                self._buffer = rest
                lines = block.decode().splitlines()
                fields = dict(line.split(": ", 1) for line in lines if line[:1] != ":")
                if "event" in fields:
                    return fields["event"], fields["data"]

    async def ends(self, seconds: float = 5.0) -> None:
        """Wait for the end of the answer."""
        with anyio.fail_after(seconds):
            while True:
                try:
                    self._buffer += await self._pieces.receive()
                except anyio.EndOfStream:
                    return


@asynccontextmanager
async def stream(
    target: ASGIApp | list[BaseRoute], path: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Streamed]:
    """Ask for a stream of events, and hang up when the context is left."""
    app = Starlette(routes=target) if isinstance(target, list) else target
    path, _, query = path.partition("?")
    all_headers = {"host": "127.0.0.1:5000", **(headers or {})}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.encode(), v.encode()) for k, v in all_headers.items()],
        "server": ("127.0.0.1", 5000),
        "client": ("127.0.0.1", 50_000),
    }
    gone, begun = anyio.Event(), anyio.Event()
    head: dict[str, Any] = {}
    write, read = anyio.create_memory_object_stream[bytes](1000)
    is_asked = False

    async def receive() -> Message:
        nonlocal is_asked
        if not is_asked:
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head["status"] = message["status"]
            head["headers"] = {k.decode(): v.decode() for k, v in message["headers"]}
            begun.set()
        elif message.get("body"):
            with suppress(anyio.BrokenResourceError):  # nobody reads any more
                await write.send(message["body"])

    async def run() -> None:
        with write:
            await app(scope, receive, send)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, name="answer")
        with anyio.fail_after(5):
            await begun.wait()
        with read:
            yield Streamed(head["status"], head["headers"], read)
            gone.set()
