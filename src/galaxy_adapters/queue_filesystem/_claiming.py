"""Making a waiting order ours, and finding out what it is once nobody else can touch it.

If the process dies anywhere in here, it leaves a ball under its token and perhaps an id's link:
the ball is given back by whoever heals, and the link says the same at the next claim.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
from attrs import define, evolve, field

from galaxy_adapters._files import storage_unavailable, sync_directory
from galaxy_adapters.queue_filesystem._holding import Holding, LaneBusy, OrderGone
from galaxy_adapters.queue_filesystem._identity import Identity, Repeat
from galaxy_adapters.queue_filesystem._index import Entry, Index, Lane
from galaxy_adapters.queue_filesystem._intake import Intake
from galaxy_adapters.queue_filesystem._keeper import Keeper
from galaxy_adapters.queue_filesystem._lease import Desk, Held
from galaxy_adapters.queue_filesystem._notes import Note
from galaxy_adapters.queue_filesystem._paths import Ball, QueuePaths
from galaxy_adapters.queue_filesystem._reader import Fault, Found, Unfit
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.clock import Clock

_AVOIDED_FOR = timedelta(seconds=15)
"""A file that the disk does not give out is left alone for so long, so that others have a turn."""


@define(eq=False)
class Claimer:
    """Takes orders for one worker.  For one event loop."""

    paths: QueuePaths
    index: Index
    intake: Intake
    holding: Holding
    identity: Identity
    desk: Desk
    keeper: Keeper
    clock: Clock
    beat: Callable[[], None]
    taking: set[Ball] = field(factory=set, init=False)
    """What is being looked at: ours, but in nobody's hands yet."""
    _avoided: dict[str, float] = field(factory=dict, init=False)

    async def next(self) -> Held | None:
        """Take the next order; None when there is none.  Raises `OSError`."""
        while True:
            entry = self.index.next(self.clock.monotonic(), self.clock.now())
            if entry is None:
                return None
            if self._is_avoided(entry):
                continue
            is_wanted_ended = entry is self.index.next_cancelled(self.clock.monotonic())
            held = await self._take(entry, beside=is_wanted_ended)
            if held is not None:
                return held

    async def only(self, order_id: OrderId) -> Held | None:
        """Take a certain order; None when it does not wait.  Raises `OSError`."""
        for _ in range(3):  # it may be replaced between the look and the claim
            entry = self.index.find(order_id)
            if entry is None:
                return None
            held = await self._take(entry, beside=True)
            if held is not None:
                return held
        return None

    async def _take(self, entry: Entry, *, beside: bool) -> Held | None:
        """Try to make the order ours; None when it is another's, or none at all.

        With `beside`, also while another order of its conversation is held.
        """
        self.beat()
        try:
            ball = self._open(entry, beside=beside)
        except OrderGone:
            self.intake.look(entry.name)
            return None
        except PermissionError as error:
            if not os.access(self.paths.orders, os.W_OK | os.X_OK):
                raise
            # Only this file's: it is somebody else's in a folder with the sticky bit, say.
            self._avoid(entry)
            self.keeper.tell(storage_unavailable("take", self.paths.order(entry.name), error))
            return None
        except LaneBusy:
            self.index.mark_busy(entry.lane.key)
            self.keeper.observe_soon()
            return None
        self.keeper.expect_lane(ball.lane)
        lane = self.index.hold(entry)
        self.taking.add(ball)
        try:
            held = await self._examine(entry, ball, lane, beside=beside)
        except BaseException:
            # The ball has our name and nobody's hand on it: the next healing gives it back.
            self.index.let_go(lane)
            self.keeper.heal_soon()
            raise
        finally:
            self.taking.discard(ball)
        if held is None:
            self.index.let_go(lane)
            return None
        return held

    def _avoid(self, entry: Entry) -> None:
        """Let others go before a file that cannot be worked with now."""
        self._avoided[entry.name] = self.clock.monotonic() + _AVOIDED_FOR.total_seconds()
        self._is_avoided(entry)

    def _is_avoided(self, entry: Entry) -> bool:
        until = self._avoided.get(entry.name)
        if until is None:
            return False
        if until <= self.clock.monotonic():
            del self._avoided[entry.name]
            return False
        self.index.delay(
            entry,
            until=until,
            given_back_at=entry.given_back_at,
            known_wish=self.index.wish(entry.order_id),
        )
        return True

    def _open(self, entry: Entry, *, beside: bool) -> Ball:
        if not (beside and (entry.lane.held or entry.lane.is_busy)):
            try:
                return self.holding.take(entry.name, entry.lane.key)
            except LaneBusy:
                if not beside:
                    raise
        return self.holding.take(entry.name, entry.lane.key, beside=True)

    async def _examine(self, entry: Entry, ball: Ball, lane: Lane, *, beside: bool) -> Held | None:
        """Look at what was taken, now that nobody else can touch it; None when it is let go."""
        is_shown = self.holding.show(ball)
        try:
            found = self.desk.inspect(ball)
        except StorageUnavailable:
            self._avoid(entry)
            raise
        if isinstance(found, Unfit) and found.fault is Fault.UNREADABLE:
            # Somebody is writing it anew, perhaps: it gets the patience that every file gets.
            self._return(ball, None, is_shown=is_shown)
            return None
        if isinstance(found, Unfit):
            await anyio.to_thread.run_sync(self.desk.set_aside, ball, found.reason)
            return None
        note = self.desk.note_for(ball.name, found)
        if entry.stamp != found.stamp or (not beside and self._is_early(entry, note)):
            # It is not what the index took it for: back, and into the index anew.
            self._return(ball, found, is_shown=is_shown)
            return None
        return await self._identify(Held(ball, lane, found.order, found, 1, note, is_shown), entry)

    def _return(self, ball: Ball, found: Found | None, *, is_shown: bool) -> None:
        """Let go of what was not meant, and look at it anew."""

        def move(name: str) -> None:
            if found is not None:
                note = self.desk.note_for(ball.name, found)
                self.desk.move(found, ball.name, name, note)

        self.intake.look(self.holding.give_back(ball, is_shown=is_shown, on_new_name=move))

    def _is_early(self, entry: Entry, note: Note | None) -> bool:
        """Whether another worker has given the order back since it was put into the index."""
        return (
            note is not None
            and entry.given_back_at != note.given_back_at
            and note.remaining(self.clock.now()) > timedelta(0)
        )

    async def _identify(self, held: Held, entry: Entry) -> Held | None:
        """Give the order its id; None when it is one that is known already."""
        ball, found, note = held.ball, held.found, held.note
        wanted = OrderId(note.order_id) if note is not None and note.order_id else found.order.id
        answer = self.identity.settle(
            ball.name,
            found,
            wanted,
            is_elsewhere=lambda name: self._is_elsewhere(name, ball),
            is_rival=lambda order_id: self._is_rival(order_id, entry),
        )
        if isinstance(answer, Repeat):
            await anyio.to_thread.run_sync(self.desk.drop_repeat, ball, answer)
            return None
        if answer != wanted:  # a numbered id must be the same again after a power cut
            await anyio.to_thread.run_sync(sync_directory, Path(self.paths.ids))
        if found.order.id != answer:
            held.order = evolve(found.order, id=answer)
        held.attempt = 1 + (note.attempts if note is not None else 0)
        return held

    def _is_elsewhere(self, name: str, ball: Ball) -> bool:
        """Whether a file of that name waits, or is held under another token than `ball`'s."""
        if any(b.name == name and b != ball for b in self.holding.survey()[0]):
            return True
        return name != ball.name and self.intake.look(name) is not None

    def _is_rival(self, order_id: OrderId, entry: Entry) -> bool:
        other = self.index.find(order_id)
        return other is not None and other is not entry
