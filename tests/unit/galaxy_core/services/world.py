"""Everything around Hermes, in memory: stores that outlive it, and a Hermes to start and kill."""

# ruff: noqa: ANN401 - overrides are whatever HermesConfig takes

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
from attrs import define, evolve, field

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.services.hermes import Hermes, HermesConfig, HermesPorts
from galaxy_core.testing.clock import settle
from galaxy_core.testing.faults import Crash
from galaxy_core.testing.memory import (
    AuditLines,
    CommandBox,
    Faults,
    LetterBox,
    ManualClock,
    MemoryAgent,
    MemoryAuditSink,
    MemoryControl,
    MemoryDispatcher,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
    MemoryOutbox,
    MemoryPresence,
    MemoryProgressFeed,
    MemoryResponseStore,
    MemoryRunJournal,
    MemorySessionStore,
)

LIMIT = 5_000
"""Rounds of the loop after which a test that waits for something gives up."""


@define
class World:
    """One machine: what is on its disk, its agent, its clock."""

    clock: ManualClock = field(factory=ManualClock)
    faults: Faults = field(factory=Faults)
    config: HermesConfig = field(
        factory=lambda: HermesConfig(
            machine="test",
            directory=Path(),
            retry=RetryPolicy(max_attempts=3, jitter=0.0),
        )
    )
    can_be_asked: bool = True
    agent: MemoryAgent = field(factory=MemoryAgent)
    box: CommandBox = field(factory=CommandBox)
    letters: LetterBox = field(factory=LetterBox)
    lines: AuditLines = field(factory=AuditLines)

    def __attrs_post_init__(self) -> None:
        self.orders = MemoryOrders(
            self.clock, machine="test", commands=self.box, faults=self.faults
        )
        self.responses = MemoryResponseStore(faults=self.faults)
        self.journal = MemoryRunJournal(faults=self.faults)
        self.sessions = MemorySessionStore(faults=self.faults)
        self.catalogue = MemoryOrderCatalogue(self.orders)
        self.presence = MemoryPresence()
        self.progress = MemoryProgressFeed(self.clock)
        self._starts = 0

    orders: MemoryOrders = field(init=False)
    responses: MemoryResponseStore = field(init=False)
    journal: MemoryRunJournal = field(init=False)
    sessions: MemorySessionStore = field(init=False)
    catalogue: MemoryOrderCatalogue = field(init=False)
    presence: MemoryPresence = field(init=False)
    progress: MemoryProgressFeed = field(init=False)
    queue: MemoryOrderQueue = field(init=False)
    _starts: int = field(init=False)

    def ports(self) -> HermesPorts:
        """The ports as a newly started process opens them."""
        self._starts += 1
        self.queue = MemoryOrderQueue(self.orders, f"worker-{self._starts}")
        return HermesPorts(
            queue=self.queue,
            catalogue=self.catalogue,
            responses=self.responses,
            outbox=MemoryOutbox(self.clock, self.letters, faults=self.faults),
            journal=self.journal,
            sessions=self.sessions,
            control=MemoryControl(self.clock, self.box, faults=self.faults),
            progress=self.progress,
            audit=MemoryAuditSink(self.lines, faults=self.faults),
            presence=self.presence,
            dispatcher=MemoryDispatcher(
                self.clock, self.agent, faults=self.faults, can_be_asked=self.can_be_asked
            ),
            clock=self.clock,
        )

    def hermes(self, **overrides: Any) -> Hermes:
        """A new Hermes process."""
        return Hermes(self.ports(), evolve(self.config, **overrides))

    async def submit(self, *orders: Order) -> None:
        """Put orders into the queue."""
        queue = MemoryOrderQueue(self.orders, "submitter")
        for order in orders:
            await queue.enqueue(order)

    @asynccontextmanager
    async def running(self, **overrides: Any) -> AsyncIterator[Hermes]:
        """A Hermes that runs in the background and is stopped at the end."""
        hermes = self.hermes(**overrides)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hermes.run)
            await settle()
            yield hermes
            hermes.stop()
            hermes.stop()
            await settle()

    async def run_until_killed(self, **overrides: Any) -> bool:
        """Run a Hermes that works off what waits; True when a planned crash killed it."""
        hermes = self.hermes(**overrides)
        queue = self.queue
        try:
            await hermes.run(until_idle=True)
        except BaseExceptionGroup as group:
            crashes, others = group.split(Crash)
            if others is not None:
                raise
            assert crashes is not None
            queue.kill()
            return True
        except Crash:
            queue.kill()
            return True
        return False

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let tasks run until the condition holds."""
        for _ in range(LIMIT):
            if condition():
                return
            await anyio.lowlevel.checkpoint()
        raise AssertionError("it never came to that")

    async def elapse(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.elapse(timedelta(seconds=seconds))

    async def view(self, order_id: str) -> OrderView:
        """The order as the catalogue shows it."""
        view = await self.catalogue.get(OrderId(order_id))
        assert view is not None
        return view

    def ended(self, order_id: str) -> bool:
        """Whether the order is in the archive."""
        entry = self.orders.find(OrderId(order_id))
        return entry is not None and entry.ending is not None

    def answer(self, order_id: str) -> str:
        """The text of the order's response."""
        return self.responses.responses[OrderId(order_id)].text

    def events(self, order_id: str | None = None) -> list[AuditEvent]:
        """Lines of the trail; of one order, or all."""
        return [
            record.event
            for record in self.lines.records
            if order_id is None or record.event.order_id == order_id
        ]

    def types(self, order_id: str) -> list[str]:
        """Event types of one order's lines."""
        return [event.event_type for event in self.events(order_id)]
