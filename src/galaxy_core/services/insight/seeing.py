"""`Insight`: machines, live orders and figures as they are now.

What ended is counted by the index of the trail, what lives is read from its files, so the cost
does not grow with the archive.
"""

# ruff: noqa: D102 - the port says what each method is for

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from attrs import define, field

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import (
    Figures,
    Finding,
    LiveOrder,
    MachineInsight,
    Overview,
    Slot,
    Timeline,
)
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import Insight
from galaxy_core.ports.outbox import LetterCount
from galaxy_core.ports.trail_index import TrailTotals
from galaxy_core.services.folders import Folders, age_key
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.insight import findings
from galaxy_core.services.insight.config import InsightPorts
from galaxy_core.services.insight.living import LivingOrders

__all__ = ["LocalInsight"]

MAX_SLOTS = 2_000
"""A chart has no more pixels."""
HOUR = timedelta(hours=1)


async def _nothing() -> None:
    return


@define(eq=False)
class LocalInsight(Insight):
    """`Insight` over the machines whose folders are here."""

    _ports: InsightPorts
    _catch_up: Callable[[], Awaitable[None]] = _nothing
    """Brings the index up to date, if that takes no time."""
    _folders: Folders = field(init=False)
    _living: LivingOrders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._folders = Folders(self._ports.machines)
        self._living = LivingOrders(self._ports.clock)

    async def overview(self) -> Overview:
        now = self._ports.clock.now()
        machines, found = [], list[Finding]()
        hour: Sequence[Slot] = ()
        day: Sequence[Slot] = ()
        totals: TrailTotals | None = None
        try:
            totals = await self._totals()
            hour = await self._ports.index.slots(now - HOUR, HOUR, 1)
            day = await self._ports.index.slots(now - 24 * HOUR, 24 * HOUR, 1)
        except TransientError as error:
            # A page that says what is wrong must not be what goes wrong.
            found.append(findings.of_figures(error))
        letters: dict[Path, int] = {}  # machines may share a folder, and with it an outbox
        for place in self._folders.machines:
            machine, its = await self._look(place, totals)
            machines.append(machine)
            letters[place.layout.repo_path] = machine.outbox
            found += its
        is_gateway_up = await self._ports.is_gateway_up()
        for book in self._ports.alerts:
            alerts = findings.of_alerts(await book.read(), is_gateway_up=is_gateway_up)
            found += (finding for finding in alerts if finding not in found)
        found += findings.of_whole(
            is_gateway_up=is_gateway_up,
            waiting_letters=sum(letters.values()),
            hour=hour,
            day=day,
        )
        return Overview(
            at=now,
            level=findings.worst(found),
            findings=findings.by_weight(found),
            machines=tuple(machines),
            is_gateway_up=is_gateway_up,
        )

    async def machine(self, name: str | None = None) -> MachineInsight:
        place = self._folders.machine(name)
        return (await self._look(place, await self._totals()))[0]

    async def live(self) -> Sequence[LiveOrder]:
        found = []
        for folder in self._folders.all:
            backlog = await self._living.of(folder)
            for view in backlog.views:
                place = folder.owner_of(view.order)
                is_held = view.state is not OrderState.PENDING
                found.append(
                    LiveOrder(
                        machine=place.name,
                        view=view,
                        progress=await place.progress.latest(view.order.id) if is_held else None,
                        is_fresh=is_held or not backlog.unseen,
                    )
                )
        # Within a folder they are in order already, and sorting keeps that.
        return sorted(found, key=lambda item: item.view.state is OrderState.PENDING)

    async def timeline(self, order_id: OrderId) -> Timeline:
        place, view = await self._folders.find(order_id)
        await self._catch_up()
        return Timeline(
            machine=place.name,
            view=view,
            events=tuple(await self._ports.index.of_order(order_id)),
            response=await place.responses.get(order_id) if view.state.is_final else None,
            progress=await place.progress.latest(order_id),
            files=tuple(await self._ports.folders[place.name].files_of(order_id)),
        )

    async def slots(self, since: datetime, width: timedelta) -> Sequence[Slot]:
        await self._catch_up()
        width = max(width, timedelta(seconds=1))
        passed = self._ports.clock.now() - since
        number = max(1, math.ceil(passed / width))
        if number > MAX_SLOTS:  # the newest ones
            since += width * (number - MAX_SLOTS)
            number = MAX_SLOTS
        return await self._ports.index.slots(since, width, number)

    async def figures(self) -> Figures:
        totals = await self._totals()
        orders: dict[tuple[str, OrderState], int] = {}
        oldest: dict[str, timedelta] = {}
        is_up: dict[str, bool] = {}
        now = self._ports.clock.now()
        for place in self._folders.machines:
            counts = _ended(place, totals)
            try:
                waiting = await self._count_live(place, counts)
            except TransientError:  # its folder is away: what ended is known all the same
                waiting = None
            orders |= {(place.name, state): counts[state] for state in OrderState}
            if waiting is not None:
                oldest[place.name] = waiting
            is_up[place.name] = findings.is_alive(await place.presence.read(), now)
        return Figures(
            orders=orders,
            oldest_waiting=oldest,
            run_seconds=totals.run_seconds,
            delivery_seconds=totals.delivery_seconds,
            events=totals.events,
            is_agent_up=is_up,
        )

    # ---- one machine

    async def _look(
        self, place: MachinePorts, totals: TrailTotals | None
    ) -> tuple[MachineInsight, list[Finding]]:
        now = self._ports.clock.now()
        counts = _ended(place, totals)
        oldest, letters, space = None, LetterCount(waiting=0, undeliverable=0), None
        try:
            oldest = await self._count_live(place, counts)
            letters = await self._ports.outboxes[place.name].count()
            space = await self._ports.folders[place.name].space()
        except TransientError:  # without the disk's size, that is what the finding says
            pass
        look = findings.Look(
            name=place.name,
            now=now,
            heartbeat=await place.presence.read(),
            live=sum(number for state, number in counts.items() if not state.is_final),
            oldest_waiting=oldest,
            letters=letters,
            space=space,
        )
        found = list(findings.of_machine(look))
        insight = MachineInsight(
            name=place.name,
            level=findings.worst(found),
            heartbeat=look.heartbeat,
            counts={state: number for state, number in counts.items() if number},
            oldest_waiting=oldest,
            outbox=letters.waiting,
            undeliverable=letters.undeliverable,
            disk_free_bytes=space.free_bytes if space else 0,
            disk_total_bytes=space.total_bytes if space else 0,
        )
        return insight, found

    async def _count_live(
        self, place: MachinePorts, counts: Counter[OrderState]
    ) -> timedelta | None:
        """Add live orders to the counts; how long the oldest waits of those that could begin."""
        folder = next(each for each in self._folders.all if place in each.machines)
        backlog = await self._living.of(folder)
        if place is folder.first:
            # Whose the others are that share the folder stands in files that nobody has read.
            counts[OrderState.PENDING] += backlog.unseen
        waiting: list[datetime] = []
        for view in backlog.views:
            if folder.owner_of(view.order) is not place:
                continue
            counts[view.state] += 1
            if view.state is OrderState.PENDING and view.waits_until is None:
                waiting.append(age_key(view))
        if not waiting:
            return None
        return max(self._ports.clock.now() - min(waiting), timedelta(0))

    async def _totals(self) -> TrailTotals:
        await self._catch_up()
        return await self._ports.index.totals()


def _ended(place: MachinePorts, totals: TrailTotals | None) -> Counter[OrderState]:
    """How many orders of a machine ended in each state."""
    counts: Counter[OrderState] = Counter()
    for known in (totals.ended, totals.earlier) if totals is not None else ():
        for (name, state), number in known.items():
            if name == place.name:
                counts[state] += number
    return counts
