"""The queue of orders as files in a folder.

Nothing is only in memory: the index is made from the folder at start, and a process that dies at
any point leaves files from which any worker (or the next start) brings the order back; see
`_holding` for the steps and docs/adr/0002-file-queue.md for every state.
"""

from __future__ import annotations

import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from attrs import evolve

from galaxy_adapters._files import (
    make_durable_folder,
    refuse_network_folder,
    storage_errors,
)
from galaxy_adapters.queue_filesystem._accept import Acceptance, NewFile
from galaxy_adapters.queue_filesystem._archive import Archive
from galaxy_adapters.queue_filesystem._aside import Aside
from galaxy_adapters.queue_filesystem._batches import Batches
from galaxy_adapters.queue_filesystem._claiming import Claimer
from galaxy_adapters.queue_filesystem._healing import Healer
from galaxy_adapters.queue_filesystem._holding import Holding
from galaxy_adapters.queue_filesystem._identity import Identity
from galaxy_adapters.queue_filesystem._index import Index
from galaxy_adapters.queue_filesystem._intake import Intake
from galaxy_adapters.queue_filesystem._keeper import Keeper
from galaxy_adapters.queue_filesystem._lease import Desk, Held, lease_lost, note_of
from galaxy_adapters.queue_filesystem._paths import Ball, QueuePaths
from galaxy_adapters.queue_filesystem._reader import MAX_FILE_BYTES
from galaxy_adapters.queue_filesystem._signal import wait_or_sleep
from galaxy_adapters.queue_filesystem._times import QueueTimes
from galaxy_adapters.queue_filesystem._trust import Trust, close_to_strangers, folder_was_open
from galaxy_adapters.queue_filesystem._workers import Observer, WorkerLife
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import LeaseLost, UnsupportedFilesystem
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.order_queue import Enqueued, OrderQueue
from galaxy_core.wire.layout import Layout

_KEPT_TOKENS = 1_000
"""So many settled claims are remembered, for callers that settle twice."""
_WALL_CLOCK_CHECK = timedelta(seconds=5)
"""A sleeper looks again after so long: the time of day may have been set forward meanwhile."""

T = TypeVar("T")


class FilesystemOrderQueue(OrderQueue):
    """One worker's view of the orders in a machine's folder.

    `machine` names the conversation of orders that have none; `names` are the machine names that
    are ours, `others` those that another Hermes serves from this folder.  People's wishes to
    cancel are asked from `control`; `trust` says whose files are orders (None: ours and root's).
    `enqueue` works at any time; everything else between `async with` and its end, which is the
    worker's life.

    Raises `UnsupportedFilesystem` at `async with` for a folder on a network file system, unless
    `is_polling` says that it is to be polled (and that no other host works in it).
    """

    def __init__(  # noqa: PLR0913 - each has a default or is a port
        self,
        layout: Layout,
        *,
        machine: str,
        clock: Clock,
        incidents: IncidentSink,
        control: Control | None = None,
        names: Iterable[str] = (),
        others: Iterable[str] = (),
        times: QueueTimes | None = None,
        max_file_bytes: int = MAX_FILE_BYTES,
        is_polling: bool = False,
        trust: Trust | None = None,
    ) -> None:
        times = times or QueueTimes()
        self._incidents = incidents
        self._layout = layout
        self._clock = clock
        self._is_polling = is_polling
        paths = self._paths = QueuePaths(layout, trust or Trust())
        archive = Archive(paths)
        aside = Aside(paths, incidents)
        self._identity = Identity(paths, archive)
        self._acceptance = Acceptance(paths, clock, archive, self._identity)
        self._batches = Batches(self._acceptance, self._welcome)
        self._index = Index(
            machine,
            frozenset(name.casefold() for name in (machine, *names)),
            frozenset(name.casefold() for name in others),
            archive.has,
            self._identity.is_taken,
        )
        self._intake = Intake(paths, self._index, aside, clock, max_file_bytes, times.settle)
        self._life = WorkerLife(paths.workers, paths.scratch)
        self._holding = Holding(paths, self._life.name)
        self._desk = Desk(paths, self._holding, self._identity, archive, aside, max_file_bytes)
        observer = Observer(paths.workers, times.lease.total_seconds())
        self._healer = Healer(
            paths,
            self._holding,
            observer,
            self._desk,
            aside,
            incidents,
            clock,
            max_file_bytes,
        )
        self._keeper = Keeper(
            paths,
            self._index,
            self._intake,
            self._healer,
            self._life,
            clock,
            times,
            incidents,
            control,
            self._ours,
            self._batches.expected,
            is_polling,
        )
        self._claimer = Claimer(
            paths,
            self._index,
            self._intake,
            self._holding,
            self._identity,
            self._desk,
            self._keeper,
            clock,
            self._beat,
        )
        self._held: dict[str, Held] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._last_beat = 0.0
        self._beat_every = times.lease.total_seconds() / 10
        self._stack = AsyncExitStack()
        self._is_open = False

    @property
    def worker(self) -> str:
        """The name of this worker in the folder; no other process ever has it."""
        return self._life.name

    # ---- life

    async def __aenter__(self) -> Self:
        await anyio.to_thread.run_sync(self._prepare)
        self._life.begin()
        self._stack.callback(self._life.end)
        try:
            self._stack.callback(self._keeper.end)
            with storage_errors("open the queue in", self._paths.orders):
                await self._keeper.begin()
            group = await self._stack.enter_async_context(anyio.create_task_group())
            self._stack.callback(group.cancel_scope.cancel)
            group.start_soon(self._keeper.run, name="queue.keeper")
        except BaseException:
            await self._stack.aclose()
            raise
        self._is_open = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What we still hold is an orphan from now on, as after a death.
        self._is_open = False
        await self._stack.aclose()

    def _prepare(self) -> None:
        """Make the folders, and see that they lie on one local file system."""
        folders = self._paths.folders()
        for folder in folders:
            make_durable_folder(folder)
        if close_to_strangers(folders[0]):
            self._incidents.report(folder_was_open(folders[0], self._clock.now()))
        if not self._is_polling:
            refuse_network_folder(folders[0])
        with storage_errors("read the folder", folders[0]):
            devices = {folder.stat().st_dev for folder in folders}
        if len(devices) != 1:
            raise UnsupportedFilesystem(
                f"The folders below {self._layout.notepads} lie on several file systems, so "
                "files cannot be renamed between them. Put them on one."
            )
        with storage_errors("clean up", self._paths.scratch):
            self._healer.sweep()

    def _ours(self) -> frozenset[Ball]:
        return frozenset((*(held.ball for held in self._held.values()), *self._claimer.taking))

    def _require_life(self) -> None:
        if not self._is_open:
            raise RuntimeError("the queue is not open: use it inside `async with`")

    # ---- port: orders in

    async def enqueue(self, order: Order) -> Enqueued:
        if not os.path.isdir(self._paths.scratch):  # noqa: ASYNC240 - takes microseconds
            await anyio.to_thread.run_sync(self._prepare)
        if self._is_open:
            with storage_errors("read orders in", self._paths.orders):
                await self._keeper.catch_up()
        arrival = self._acceptance.next_arrival(self._index.newest_ns)
        accepted = await self._batches.accept(order, arrival)
        return accepted.enqueued

    def _welcome(self, file: NewFile) -> None:
        if self._is_open:
            self._intake.welcome(file)
            self._keeper.changed.notify()

    # ---- port: orders out

    async def claim(self, *, only: OrderId | None = None) -> Delivery | None:
        await checkpoint_if_cancelled()
        self._require_life()
        with storage_errors("claim an order in", self._paths.orders):
            await self._keeper.catch_up()
            await self._keeper.heal_if_due()
            claimed = await (self._claim_next() if only is None else self._claim_only(only))
        if claimed is None:
            await checkpoint()  # who asks again and again must let others work
        return claimed

    async def _claim_next(self) -> Delivery | None:
        """Take what comes next."""
        held = await self._claimer.next()
        if held is None:
            # Whatever could still be found is looked for before saying that there is none.
            await self._keeper.do_what_is_due()
            held = await self._claimer.next()
        while held is None and self._intake.is_loading:
            self._intake.load()
            await checkpoint()
            held = await self._claimer.next()
        return self._take_up(held)

    async def _claim_only(self, order_id: OrderId) -> Delivery | None:
        """Take a certain order; it may have to be found first."""
        while self._index.find(order_id) is None and self._intake.is_loading:
            self._intake.load()
            await checkpoint()
        delivery = self._take_up(await self._claimer.only(order_id))
        if delivery is None or delivery.order.id == order_id:
            return delivery
        # Another order has taken the id since: this one goes by a number.
        await self.nack(delivery, is_counted=False)
        return None

    async def renew(self, delivery: Delivery) -> None:
        await checkpoint_if_cancelled()
        held = self._find(delivery)
        self._life.beat()
        try:
            self._desk.check(held)
        except LeaseLost:
            self._drop(held)
            raise

    async def ack(self, delivery: Delivery, ending: Ending) -> None:
        if delivery.token in self._settled:
            await checkpoint()
            return
        held = self._find(delivery)
        async with held.settling:
            if delivery.token in self._settled:
                return
            ended_ns = self._acceptance.next_arrival()
            await self._settle(held, lambda: self._desk.end(held, ending, ended_ns))
            self._index.note_end(held.order.id)
            self._settled[delivery.token] = None
            if len(self._settled) > _KEPT_TOKENS:
                self._settled.popitem(last=False)

    async def dead_letter(self, delivery: Delivery, ending: Ending) -> None:
        await self.ack(delivery, evolve(ending, outcome=Outcome.DEAD))

    async def nack(
        self,
        delivery: Delivery,
        *,
        delay: timedelta = timedelta(0),
        reason: str = "",
        is_counted: bool = True,
    ) -> None:
        await checkpoint()
        held = self._find(delivery)
        async with held.settling:
            now = self._clock.now()
            note = note_of(held, is_counted=is_counted, now=now, delay=delay, reason=reason)
            until = self._clock.monotonic() + max(delay, timedelta(0)).total_seconds()
            name = await self._settle(held, lambda: self._desk.give_back(held, note))
            with contextlib.suppress(OSError):  # it was given back; the next rescan reads it
                self._intake.notice(name)
            entry = self._index.get(name)
            if entry is not None:
                # Our own clock counts, not the note's time of day.
                self._index.delay(
                    entry,
                    until=until,
                    given_back_at=now,
                    known_wish=self._index.wish(held.order.id),
                )

    async def wait(self, timeout: timedelta | None = None) -> bool:
        self._require_life()
        deadline = None
        if timeout is not None:
            deadline = self._clock.monotonic() + timeout.total_seconds()
        await checkpoint()
        while True:
            with storage_errors("read the folder", self._paths.orders):
                await self._keeper.catch_up()
            # Taken before the look, so that no change falls between the look and the sleep.
            changed = self._keeper.changed.next_change
            now, day = self._clock.monotonic(), self._clock.now()
            if self._index.next(now, day) is not None:
                return True
            nap = self._index.until_next(now, day)
            nap = None if nap is None else min(nap, _WALL_CLOCK_CHECK)
            if deadline is not None:
                left = timedelta(seconds=deadline - now)
                if left <= timedelta(0):
                    return False
                nap = left if nap is None else min(nap, left)
            await wait_or_sleep(changed, self._clock, nap)

    # ---- what we hold

    def _beat(self) -> None:
        """Show that we live, unless we have done so just now: a claim is watched from its start."""
        now = self._clock.monotonic()
        if not self._held or now - self._last_beat > self._beat_every:
            self._life.beat()
            self._last_beat = now

    def _take_up(self, held: Held | None) -> Delivery | None:
        """Remember what was claimed, under its token."""
        if held is None:
            return None
        self._held[held.ball.token] = held
        return Delivery(
            order=held.order,
            attempt=held.attempt,
            failures=held.failures,
            token=held.token,
            claimed_at=self._clock.now(),
            is_redelivered=held.note is not None,
        )

    def _find(self, delivery: Delivery) -> Held:
        held = self._held.get(delivery.token)
        if held is None:
            raise lease_lost(delivery.order)
        return held

    async def _settle(self, held: Held, deed: Callable[[], T]) -> T:
        """Carry the deed out in a thread; then the order is not ours any more."""
        try:
            result = await anyio.to_thread.run_sync(deed)
        except LeaseLost:
            self._drop(held)
            raise
        self._drop(held)
        return result

    def _drop(self, held: Held) -> None:
        """Forget an order that is not ours any more."""
        if self._held.pop(held.ball.token, None) is not None:
            self._index.let_go(held.lane)
            self._keeper.changed.notify()
