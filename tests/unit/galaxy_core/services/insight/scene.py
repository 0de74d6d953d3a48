"""Machines in memory as a page looks at them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
from attrs import define, evolve, field

from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.trail_index import TrailIndex
from galaxy_core.services.desk import OrderDesk
from galaxy_core.services.front_desk import LocalFrontDesk
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.insight import (
    InsightPorts,
    LocalInsight,
    LocalRecords,
    TrailFeeding,
    TrailSource,
)
from galaxy_core.services.trail import Trail
from galaxy_core.testing.clock import settle
from galaxy_core.testing.memory import (
    AuditLines,
    Faults,
    IndexBox,
    ManualClock,
    MemoryAuditSink,
    MemoryAuditTrail,
    MemoryControl,
    MemoryMachineFolder,
    MemoryOrderQueue,
    MemoryOutbox,
    MemoryTrailIndex,
)
from galaxy_core.wire.layout import Layout
from tests.unit.galaxy_core.services.world import World


@define
class Scene:
    """Two machines, a gateway's trail, an index, and everything that looks at them."""

    names: tuple[str, ...] = ("lab", "pc")
    clock: ManualClock = field(factory=ManualClock)
    box: IndexBox = field(factory=IndexBox)
    home_lines: AuditLines = field(factory=AuditLines)
    is_gateway_up: bool | None = True
    machines: dict[str, World] = field(init=False)
    folders: dict[str, MemoryMachineFolder] = field(init=False)
    faults: Faults = field(factory=Faults)
    """Of the index."""

    def __attrs_post_init__(self) -> None:
        self.machines = {name: World(clock=self.clock) for name in self.names}
        self.folders = {name: MemoryMachineFolder() for name in self.names}
        for name, world in self.machines.items():
            world.config = evolve(world.config, machine=name)
        self.index = MemoryTrailIndex(self.box, faults=self.faults)
        ports = {name: self._machine(name, world) for name, world in self.machines.items()}
        self.ports = InsightPorts(
            machines=ports,
            outboxes={n: MemoryOutbox(self.clock, w.letters) for n, w in self.machines.items()},
            folders=self.folders,
            trails=[
                TrailSource(name="/home", machine="home", trail=MemoryAuditTrail(self.home_lines)),
                *(
                    TrailSource(name=f"/{n}", machine=n, trail=MemoryAuditTrail(w.lines))
                    for n, w in self.machines.items()
                ),
            ],
            index=self.index,
            clock=self.clock,
            is_gateway_up=self._is_gateway_up,
        )
        self.feeding = TrailFeeding(self.ports)
        self.insight = LocalInsight(self.ports, self.feeding.catch_up)
        self.records = LocalRecords(self.ports, self.feeding.catch_up)
        self.desk = LocalFrontDesk(
            machines=ports, index=self.index, clock=self.clock, catch_up=self.feeding.catch_up
        )

    index: TrailIndex = field(init=False)
    ports: InsightPorts = field(init=False)
    feeding: TrailFeeding = field(init=False)
    insight: LocalInsight = field(init=False)
    records: LocalRecords = field(init=False)
    desk: LocalFrontDesk = field(init=False)

    async def _is_gateway_up(self) -> bool | None:
        return self.is_gateway_up

    def _machine(self, name: str, world: World) -> MachinePorts:
        audit = MemoryAuditSink(world.lines)
        control = MemoryControl(self.clock, world.box)
        return MachinePorts(
            name=name,
            names=frozenset({name, f"{name}-server"}),
            layout=Layout(Path("/machines") / name),
            desk=OrderDesk(
                queue=MemoryOrderQueue(world.orders, "desk"),
                catalogue=world.catalogue,
                responses=world.responses,
                outbox=MemoryOutbox(self.clock, world.letters),
                journal=world.journal,
                control=control,
                audit=audit,
                clock=self.clock,
                machine=name,
            ),
            catalogue=world.catalogue,
            responses=world.responses,
            sessions=world.sessions,
            control=control,
            progress=world.progress,
            presence=world.presence,
            audit_trail=MemoryAuditTrail(world.lines),
            trail=Trail(audit, self.clock, name),
        )

    @property
    def lab(self) -> World:
        """The default machine."""
        return self.machines["lab"]

    def beat(self, name: str, *, status: str = "running", ago: timedelta = timedelta(0)) -> None:
        """Hermes of a machine gave a sign of life."""
        at = self.clock.now() - ago
        self.machines[name].presence.heartbeat = Heartbeat(
            status=status, machine=name, started_at=at, last_heartbeat_at=at
        )

    @asynccontextmanager
    async def fed(self) -> AsyncIterator[None]:
        """The index is fed in the background, and has caught up."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.feeding.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def work(self, *names: str) -> None:
        """Let the Hermes of these machines (default: all) work off what waits."""
        for name in names or self.names:
            await self.machines[name].hermes().run(until_idle=True)
            self.beat(name)
