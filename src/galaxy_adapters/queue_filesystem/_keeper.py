"""Keeping the index true: notices of changes, looks at the whole folder, and healing.

Everything here may be done by whoever comes first: the keeper's own task, or a claim that finds
nothing else to do.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_adapters._files import (
    ANY_CHANGE,
    NEW_CONTENT,
    Change,
    ChangeKind,
    FolderWatch,
    make_durable_folder,
    storage_unavailable,
)
from galaxy_adapters.queue_filesystem._healing import Healer
from galaxy_adapters.queue_filesystem._index import Index
from galaxy_adapters.queue_filesystem._intake import Intake
from galaxy_adapters.queue_filesystem._paths import SIDE_LANE_MARK, Ball, QueuePaths, stem_of
from galaxy_adapters.queue_filesystem._signal import Signal, wait_or_sleep
from galaxy_adapters.queue_filesystem._times import QueueTimes
from galaxy_adapters.queue_filesystem._workers import WorkerLife
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.domain.operations import CancelRequested
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.incident_sink import IncidentSink

_AFTER_FAILURE = timedelta(seconds=1)


@define(eq=False)
class Keeper:
    """Watches the folder for one worker.  `ours` names what it holds or is taking."""

    paths: QueuePaths
    index: Index
    intake: Intake
    healer: Healer
    life: WorkerLife
    clock: Clock
    times: QueueTimes
    incidents: IncidentSink
    control: Control | None
    ours: Callable[[], frozenset[Ball]]
    is_polling: bool = False
    changed: Signal = field(factory=Signal, init=False)
    _watch: FolderWatch = field(init=False)
    _healing: anyio.Lock = field(factory=anyio.Lock, init=False)
    _own_lanes: Counter[str] = field(factory=Counter, init=False)
    """Lanes that we made, whose notice has not come yet."""
    _next_heal: float = field(default=0.0, init=False)
    _next_rescan: float = field(default=0.0, init=False)
    _is_control_stale: bool = field(default=True, init=False)
    _failure: str | None = field(default=None, init=False)

    # ---- life

    async def begin(self) -> None:
        """Watch, then look at everything once.  Raises `StorageUnavailable`."""
        self._watch = FolderWatch(
            is_polling=self.is_polling, poll_seconds=self.times.poll.total_seconds()
        )
        self._watch.add(Path(self.paths.orders), ANY_CHANGE)
        self._watch.add(Path(self.paths.held), ChangeKind.CREATED | ChangeKind.GONE)
        self._watch.add(Path(self.paths.archive), NEW_CONTENT)
        # A dying process closes its lock file, which was open for writing.
        self._watch.add(Path(self.paths.workers), ChangeKind.WRITTEN | ChangeKind.GONE)
        if self.control is not None:
            self._watch.add(self.paths.layout.control, ANY_CHANGE)
        await self.rescan()
        await anyio.to_thread.run_sync(self.intake.aside.retell)

    def end(self) -> None:
        """Stop watching."""
        self._watch.close()

    async def run(self) -> None:
        """Keep the index true until cancelled; survives whatever the disk does."""
        while True:
            try:
                await self.catch_up()
                await self.do_what_is_due()
                if self.intake.is_loading:
                    self.intake.load()
                    self.changed.notify()
                    await checkpoint()
                    continue
                self._failure = None
                nap = self._until_due()
            except OSError as error:
                self._tell(error)
                nap = _AFTER_FAILURE
                await self.clock.sleep(nap)
                continue
            await wait_or_sleep(self._watch.wait, self.clock, nap)

    # ---- what a claim does first

    async def catch_up(self) -> None:
        """Take in all notices that have come.  One system call when there are none."""
        changes = self._watch.take()
        for change in changes:
            self._take_in(change)
        if self._is_control_stale:
            await self._ask_control()
        if changes:
            self.changed.notify()

    async def do_what_is_due(self) -> None:
        """Heal, look at the whole folder, settle: each when its time has come."""
        now = self.clock.monotonic()
        if now >= self._next_rescan:
            await self.rescan()
        elif now >= self._next_heal:
            await self.heal()
        left = self.intake.until_settled()
        if left is not None and left <= timedelta(milliseconds=50):
            await self.intake.settle()

    def expect_lane(self, key: str) -> None:
        """We made a lane: its notice is no news."""
        if not self.is_polling:
            self._own_lanes[key] += 1

    def heal_soon(self) -> None:
        """Something is held that perhaps nobody works on."""
        self._next_heal = 0.0

    # ---- looking at everything

    async def rescan(self) -> None:
        """Look at all files, as nobody was told of some.  Raises `StorageUnavailable`."""
        async with self._healing:
            await self._restore_folders()
            shown = await self.intake.scan()
            held = await self._heal()
            for name in set(shown) - held:
                await self._recover(self.healer.recover_stray, name)
            self.index.check_ends()
            self._own_lanes.clear()
            self._is_control_stale = self.control is not None
            self._next_rescan = self.clock.monotonic() + self.times.rescan.total_seconds()
        self.changed.notify()

    async def heal(self) -> None:
        """Give back what dead and frozen workers hold.  Raises `StorageUnavailable`."""
        async with self._healing:
            await self._heal()

    async def _heal(self) -> frozenset[str]:
        """Do it; the file names of all orders that were held at that moment."""
        lease = self.times.lease.total_seconds()
        self._next_heal = self.clock.monotonic() + lease
        survey = self.healer.survey(self.ours())
        self.index.set_busy(survey.busy_lanes)
        if survey.busy_lanes:
            # To find a worker frozen, its beat must be seen often enough.
            self._next_heal = self.clock.monotonic() + lease / 4
        for ball in survey.orphans:
            await self._recover(self.healer.recover, ball)
            self.index.mark_free(ball.lane)
        return survey.held_names

    async def _recover(self, recover: Callable[..., str | None], what: Ball | str) -> None:
        name = await anyio.to_thread.run_sync(recover, what)
        if name is not None:
            self.intake.notice(name)
            self.changed.notify()

    async def _restore_folders(self) -> None:
        """Make our own folders anew after somebody removed them; never the orders' folder.

        That one is missing when its disk is not mounted: made anew, it would hide the orders.
        """
        if not Path(self.paths.orders).is_dir():  # noqa: ASYNC240 - takes microseconds
            error = FileNotFoundError(2, "No such file or directory")
            raise storage_unavailable("read the folder", self.paths.orders, error)
        for folder in self.paths.folders():
            if not folder.is_dir():
                await anyio.to_thread.run_sync(make_durable_folder, folder)
        self.life.beat()

    # ---- notices

    def _take_in(self, change: Change) -> None:
        if change.kind is ChangeKind.RESCAN:
            self._next_rescan = 0.0
            self._is_control_stale = self.control is not None
            return
        folder, name = os.fspath(change.folder), change.name
        if folder == self.paths.orders:
            if change.kind is not ChangeKind.GONE:
                self.intake.notice(name)
            elif self.index.get(name) is not None:
                self.intake.look(name)
        elif folder == self.paths.held:
            self._take_in_lane(name, is_gone=change.kind is ChangeKind.GONE)
        elif folder == self.paths.archive:
            self.index.note_end(OrderId(stem_of(name)))
        elif folder == self.paths.workers:
            if not name.startswith(self.life.name):
                self.heal_soon()
        else:
            self._is_control_stale = True

    def _take_in_lane(self, key: str, *, is_gone: bool) -> None:
        if is_gone:
            self.index.mark_free(key)
        elif self._own_lanes[key] > 0:
            self._own_lanes[key] -= 1
            if not self._own_lanes[key]:
                del self._own_lanes[key]
        else:
            # Another worker's: from now on its beat counts.
            if not key.startswith(SIDE_LANE_MARK):
                self.index.mark_busy(key)
            self.heal_soon()

    async def _ask_control(self) -> None:
        if self.control is None:
            return
        self._is_control_stale = False
        try:
            commands = await self.control.pending()
        except BaseException:
            self._is_control_stale = True
            raise
        wishes = (c for c in commands if isinstance(c, CancelRequested))
        self.index.set_cancelled({wish.order_id: wish.at for wish in wishes})
        self.changed.notify()

    def _until_due(self) -> timedelta:
        now = self.clock.monotonic()
        nap = timedelta(seconds=max(min(self._next_heal, self._next_rescan) - now, 0.0))
        settled = self.intake.until_settled()
        return nap if settled is None else min(nap, max(settled, timedelta(milliseconds=50)))

    def _tell(self, error: OSError) -> None:
        """Report trouble with the folder, once until it is over."""
        told = error if isinstance(error, StorageUnavailable) else None
        if told is None:
            told = storage_unavailable("work in the folder", self.paths.orders, error)
        message = f"The order queue has to wait. {told}"
        if message != self._failure:
            self._failure = message
            self.incidents.report(
                Incident(
                    kind="queue_unavailable",
                    message=message,
                    key=f"queue-unavailable:{self.clock.now().isoformat()}",
                    severity=IncidentSeverity.ERROR,
                    is_for_people=True,
                )
            )
