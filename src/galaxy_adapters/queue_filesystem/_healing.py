"""Giving back what nobody works on any more.

Whatever step a worker died at, what it left is one of: a ball with its token (taken over by
renaming it), a lane with nothing in it (removed), `<name>.processing` without a ball (a stray,
taken by renaming it), a scratch file (swept).  Any worker may heal, many at once.
"""

from __future__ import annotations

import contextlib
import os
from datetime import timedelta
from pathlib import Path

from attrs import define, evolve, field

from galaxy_adapters._files import sweep_scratch
from galaxy_adapters.queue_filesystem._aside import Aside
from galaxy_adapters.queue_filesystem._holding import Holding, OrderGone
from galaxy_adapters.queue_filesystem._lease import Desk
from galaxy_adapters.queue_filesystem._notes import Note, write_note
from galaxy_adapters.queue_filesystem._paths import Ball, QueuePaths, lane_kept_by
from galaxy_adapters.queue_filesystem._reader import Fault, Found, Unfit, read_order
from galaxy_adapters.queue_filesystem._workers import Observer
from galaxy_core.domain.incident import Incident
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink


@define
class Survey:
    """What is held, as one look at the folder shows it."""

    orphans: list[Ball] = field(factory=list)
    """Held by workers that are gone, or by us without our knowing: to be given back."""
    busy_lanes: frozenset[str] = frozenset()
    """Lanes in which another worker holds an order."""
    held_names: frozenset[str] = frozenset()


@define(eq=False)
class Healer:
    """Finds and gives back; the blocking parts say so."""

    paths: QueuePaths
    holding: Holding
    observer: Observer
    desk: Desk
    aside: Aside
    incidents: IncidentSink
    clock: Clock
    max_file_bytes: int

    def survey(self, ours: frozenset[Ball]) -> Survey:
        """Look at all that is held; `ours` is what we know that we hold or are taking.

        Removes empty lanes.  Takes microseconds for each held order.
        """
        balls, empty = self.holding.survey()
        for lane in empty:
            self.holding.free_lane(lane)
        now = self.clock.monotonic()
        gone: dict[str, bool] = {self.holding.worker: False}
        result = Survey(held_names=frozenset(ball.name for ball in balls))
        busy = set()
        for ball in balls:
            if ball.worker not in gone:
                gone[ball.worker] = self.observer.is_gone(ball.worker, now)
            is_debris = ball.worker == self.holding.worker and ball not in ours
            if gone[ball.worker] or is_debris:
                result.orphans.append(ball)
            kept = lane_kept_by(ball.lane)
            if ball not in ours and kept is not None:
                busy.add(kept)
        result.busy_lanes = frozenset(busy)
        self.observer.remove_dead(keep=frozenset(gone))
        return result

    def recover(self, ball: Ball) -> str | None:
        """Give an orphan back; the name under which it waits, None when it does not.

        Blocks for disk syncs.  Raises `StorageUnavailable`; it is an orphan still then.
        """
        ours = self.holding.take_over(ball)
        if ours is None:
            return None
        is_debris = ball.worker == self.holding.worker
        return self._return(ours, "" if is_debris else "The worker that held it is gone.")

    def recover_stray(self, name: str) -> str | None:
        """Give `name.processing`, which nobody holds, back.  Else like `recover`."""
        shown = self.paths.shown(name)
        if os.path.islink(shown):
            if not os.path.exists(shown):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(shown)
            return None
        ball = self.holding.take_stray(name)
        if ball is None:
            return None
        return self._return(ball, "It was marked as being worked on, but nobody did.")

    def sweep(self) -> None:
        """Remove what dead writers left, and ids of files that are gone.  Blocks."""
        sweep_scratch(Path(self.paths.scratch))
        self.desk.archive.dead.learn()
        self.desk.identity.sweep(self._alive)

    def _alive(self) -> frozenset[str]:
        """All files that wait or are held."""

        def held() -> set[str]:
            return {ball.name for ball in self.holding.survey()[0]}

        # One that changes its place between two looks is seen by the third.
        return frozenset(held() | set(os.listdir(self.paths.orders)) | held())

    def _return(self, ball: Ball, reason: str) -> str | None:
        path = self.paths.ball(ball)
        found = read_order(path, ball.name, max_bytes=self.max_file_bytes, trust=self.paths.trust)
        if isinstance(found, Unfit) and found.fault is not Fault.UNREADABLE:
            if found.fault is not Fault.GONE:
                self.holding.hide(ball)
                self.aside.put(path, ball.name, found.reason)
            self.holding.free_lane(ball.lane)
            return None
        if reason and isinstance(found, Found):
            self._count(ball, found, reason)

        def move(name: str) -> None:
            if isinstance(found, Found):
                note = self.desk.note_for(ball.name, found)
                self.desk.move(found, ball.name, name, note)

        try:
            name = self.holding.give_back(ball, on_new_name=move)
        except OrderGone:  # we were frozen, and taken over in turn
            return None
        if reason:
            self.incidents.report(
                Incident(
                    kind="order_taken_over",
                    message=f"Order file {ball.name} waits again. {reason}",
                    key=f"taken-over:{ball.file_name}",
                    order_id=found.order.id if isinstance(found, Found) else None,
                )
            )
        return name

    def _count(self, ball: Ball, found: Found, reason: str) -> None:
        """The claim whose worker died counts as an attempt."""
        now = self.clock.now()
        note = self.desk.note_for(ball.name, found) or Note(
            digest=found.digest, attempts=0, given_back_at=now
        )
        counted = evolve(
            note,
            order_id=note.order_id or self.desk.identity.find(found, ball.name),
            attempts=note.attempts + 1,
            given_back_at=now,
            delay=timedelta(0),
            reason=reason,
        )
        write_note(self.paths, ball.name, counted)
