"""Keeping the index true: notices of changes, looks at the whole folder, and healing.

Everything here may be done by whoever comes first: the keeper's own task, or a claim that finds
nothing else to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_adapters._files import (
    ANY_CHANGE,
    Change,
    ChangeKind,
    FolderWatch,
    make_durable_folder,
    storage_unavailable,
)
from galaxy_adapters._files.hearing import Hearing
from galaxy_adapters.queue_filesystem._healing import Healer
from galaxy_adapters.queue_filesystem._index import Index
from galaxy_adapters.queue_filesystem._intake import Intake
from galaxy_adapters.queue_filesystem._paths import (
    Ball,
    QueuePaths,
    is_order_name,
    lane_kept_by,
    stem_of,
)
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
_LOOKS_PER_LEASE = 30
_ECHO_PAUSE_SECONDS = 0.002


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
    expected: set[str]
    """Names of files that are being stored by us: they are put into the index once they are."""
    is_polling: bool = False
    changed: Signal = field(factory=Signal, init=False)
    _watch: FolderWatch = field(init=False)
    _hearing: Hearing = field(init=False)
    _due: Signal = field(factory=Signal, init=False)
    _orders: Path = field(init=False)
    _held: Path = field(init=False)
    _archive: Path = field(init=False)
    _workers: Path = field(init=False)
    _healing: anyio.Lock = field(factory=anyio.Lock, init=False)
    _asking: anyio.Lock = field(factory=anyio.Lock, init=False)
    _own_lanes: Counter[str] = field(factory=Counter, init=False)
    """Lanes that we made, whose notice has not come yet."""
    _next_heal: float = field(default=0.0, init=False)
    _last_heal: float = field(default=0.0, init=False)
    _next_rescan: float = field(default=0.0, init=False)
    _is_control_stale: bool = field(default=True, init=False)
    _failure: str | None = field(default=None, init=False)
    _is_resting: bool = field(default=False, init=False)

    # ---- life

    async def begin(self) -> None:
        """Watch, then look at everything once.  Raises `OSError`."""
        self._watch = FolderWatch(
            is_polling=self.is_polling, poll_seconds=self.times.poll.total_seconds()
        )
        self._orders, self._held = Path(self.paths.orders), Path(self.paths.held)
        self._hearing = Hearing(self._orders, self.clock, self.incidents)
        self._archive, self._workers = Path(self.paths.archive), Path(self.paths.workers)
        self._watch.add(self._orders, ANY_CHANGE)
        self._watch.add(self._held, ChangeKind.CREATED | ChangeKind.GONE)
        self._watch.add(self._archive, ChangeKind.ARRIVED | ChangeKind.CREATED)
        # A dying process closes its lock file, which was open for writing.
        self._watch.add(self._workers, ChangeKind.WRITTEN | ChangeKind.GONE)
        if self.control is not None:
            # While a folder is missing, a watch has to look for it at every turn.
            await anyio.to_thread.run_sync(make_durable_folder, self.paths.layout.control)
            self._watch.add(self.paths.layout.control, ANY_CHANGE)
        await self.rescan()
        self._judge_notices()
        await anyio.to_thread.run_sync(self.intake.aside.retell)

    def end(self) -> None:
        """Stop watching."""
        self._watch.close()

    async def run(self) -> None:
        """Keep the index true until cancelled; survives whatever the disk does."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_listening, name="queue.notices")
            group.start_soon(self._keep_up, name="queue.rounds")

    async def _keep_listening(self) -> None:
        """Take in notices as they come."""
        while True:
            await self._watch.wait()
            try:
                await self.catch_up()
            except OSError as error:
                self.tell(error)
                await self.clock.sleep(_AFTER_FAILURE)
                continue
            # What comes next are echoes of our own claims, mostly, and claims look for themselves.
            await anyio.sleep(_ECHO_PAUSE_SECONDS)

    async def _keep_up(self) -> None:
        """Read the backlog, and do what is due."""
        while True:
            # Taken before the look, so that no wish falls between the look and the sleep.
            wish = self._due.next_change
            try:
                await self.do_what_is_due()
                if self.intake.is_loading:
                    self.intake.load()
                    self.changed.notify()
                    await checkpoint()
                    continue
                self._failure = None
            except OSError as error:
                self.tell(error)
                await self._rest(self.clock.sleep(_AFTER_FAILURE))
                continue
            await self._rest(wait_or_sleep(wish, self.clock, self._until_due()))

    async def _rest(self, sleep: Awaitable[None]) -> None:
        self._is_resting = True
        try:
            await sleep
        finally:
            self._is_resting = False

    @property
    def is_resting(self) -> bool:
        """Whether the keeper's own task waits for a notice or a moment, and nobody heals."""
        return self._is_resting and not self._is_healing

    @property
    def _is_healing(self) -> bool:
        """Whether orders are being given back at this moment."""
        return self._healing.statistics().locked

    # ---- what a claim does first

    async def catch_up(self) -> bool:
        """Take in all notices that have come; whether they said anything new.

        One system call when there are none.
        """
        is_news = False
        for change in self._watch.take():
            is_news |= self._take_in(change)
        if self._is_control_stale or self._asking.statistics().locked:
            async with self._asking:
                is_news |= await self._ask_control()
        if is_news:
            self.changed.notify()
            if self.intake.is_unsettled:
                self._due.notify()
        return is_news

    async def do_what_is_due(self) -> None:
        """Heal, look at the whole folder, settle: each when its time has come."""
        if self.clock.monotonic() >= self._next_rescan:
            await self.rescan()
            await self.catch_up()
            self._judge_notices()
        await self.heal_if_due()
        left = self.intake.until_settled()
        if left is not None and left <= timedelta(milliseconds=50):
            await self.intake.settle()

    def _judge_notices(self) -> None:
        """Look more often where files come without a notice."""
        if self._watch.is_polling:
            return
        self._hearing.judge(self.intake.fresh)
        if self._hearing.is_in_doubt:
            soon = self.clock.monotonic() + self.times.poll.total_seconds()
            self._next_rescan = min(self._next_rescan, soon)

    def expect_lane(self, key: str) -> None:
        """We made a lane: its notice is no news."""
        if not self.is_polling:
            self._own_lanes[key] += 1

    def heal_soon(self) -> None:
        """Something is held that nobody works on."""
        self._next_heal = 0.0
        self._due.notify()

    def observe_soon(self) -> None:
        """Another worker holds something: its beat counts from now on.

        Not at once, as several workers that claim quickly would look at each other all the time.
        """
        due = self._last_heal + self.times.lease.total_seconds() / _LOOKS_PER_LEASE
        if due < self._next_heal:
            self._next_heal = due
            self._due.notify()

    # ---- looking at everything

    async def rescan(self) -> None:
        """Look at all files, as nobody was told of some.  Raises `StorageUnavailable`."""
        self._next_rescan = self.clock.monotonic() + self.times.rescan.total_seconds()
        try:
            await self._restore_folders()
            shown = await self.intake.scan()
        except OSError:
            self._next_rescan = 0.0  # not done: at the next occasion, and no sign of recovery
            raise
        async with self._healing:
            held = await self._heal()
            for name in set(shown) - held:
                await self._recover(self.healer.recover_stray, name)
        self.index.check_ends()
        self._own_lanes.clear()
        self._is_control_stale = self.control is not None
        self.changed.notify()

    async def heal_if_due(self) -> None:
        """Give back what dead and frozen workers hold, if it is time to look.

        Waits for one who does so already.  Raises `StorageUnavailable`.
        """
        if self._is_healing or self.clock.monotonic() >= self._next_heal:
            async with self._healing:
                if self.clock.monotonic() >= self._next_heal:
                    await self._heal()

    async def _heal(self) -> frozenset[str]:
        """Do it; the file names of all orders that were held at that moment."""
        lease = self.times.lease.total_seconds()
        self._last_heal = self.clock.monotonic()
        self._next_heal = self.clock.monotonic() + lease
        survey = self.healer.survey(self.ours())
        self.index.set_busy(survey.busy_lanes)
        if survey.busy_lanes:
            # To find a worker frozen, its beat must be seen often enough.
            self._next_heal = self.clock.monotonic() + lease / 4
        for ball in survey.orphans:
            await self._recover(self.healer.recover, ball)
            self._see_free(ball.lane)
        return survey.held_names

    async def _recover(self, recover: Callable[..., str | None], what: Ball | str) -> None:
        try:
            name = await anyio.to_thread.run_sync(recover, what)
            if name is not None:
                self.intake.notice(name)
                self.changed.notify()
        except OSError as error:
            # One order that cannot be given back now must not keep the others from work.
            self.tell(error)
            self._next_heal = self.clock.monotonic() + _AFTER_FAILURE.total_seconds()

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
        self.life.restore()

    # ---- notices

    def _take_in(self, change: Change) -> bool:
        """Act on a notice; False for one that says nothing new."""
        if change.kind is ChangeKind.RESCAN:
            self._next_rescan = 0.0
            self._hearing.excuse()
            self._is_control_stale = self.control is not None
            self._due.notify()
            return True
        folder, name = change.folder, change.name
        if folder is self._orders:
            return self._take_in_order(name, is_gone=change.kind is ChangeKind.GONE)
        if folder is self._held:
            return self._take_in_lane(name, is_gone=change.kind is ChangeKind.GONE)
        if folder is self._archive:
            return self.index.note_end(OrderId(stem_of(name)))
        if folder is self._workers:
            if not name.startswith(self.life.name):
                self.heal_soon()
            return True
        self._is_control_stale = True
        return True

    def _take_in_order(self, name: str, *, is_gone: bool) -> bool:
        if not is_order_name(name) or name in self.expected:
            return False
        if not is_gone:
            self._hearing.heard(name)
            return self.intake.notice(name)
        if self.index.get(name) is None:
            return False
        self.intake.look(name)
        return True

    def _take_in_lane(self, key: str, *, is_gone: bool) -> bool:
        if is_gone:
            return self._see_free(key)
        expected = self._own_lanes.pop(key, 0)
        if expected > 1:
            self._own_lanes[key] = expected - 1
        if expected:
            return False
        lane = lane_kept_by(key)
        if lane is not None:
            self.index.mark_busy(lane)
        self.observe_soon()
        return False

    def _see_free(self, folder: str) -> bool:
        """A lane's folder is gone; whether an order of its conversation may be claimed now."""
        lane = lane_kept_by(folder)
        if lane is None or not self.index.is_busy(lane) or self.healer.holding.is_kept(lane):
            return False
        return self.index.mark_free(lane)

    async def _ask_control(self) -> bool:
        """Hear which orders people want cancelled; False when nothing has changed."""
        if self.control is None or not self._is_control_stale:
            return False
        self._is_control_stale = False
        try:
            commands = await self.control.pending()
        except BaseException:
            self._is_control_stale = True
            raise
        wishes = (c for c in commands if isinstance(c, CancelRequested))
        return self.index.set_cancelled({wish.order_id: wish.at for wish in wishes})

    def _until_due(self) -> timedelta:
        now = self.clock.monotonic()
        nap = timedelta(seconds=max(min(self._next_heal, self._next_rescan) - now, 0.0))
        settled = self.intake.until_settled()
        return nap if settled is None else min(nap, max(settled, timedelta(milliseconds=50)))

    def tell(self, error: OSError) -> None:
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
