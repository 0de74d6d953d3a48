"""What one worker holds: taking an order, ending it, giving it back.

    claim   mkdir lane, rename N.json to the ball, link N.json.processing, link ids/<id>
    ack     archive (written, synced), unlink N.json.processing, ball, ids/<id>, note, rmdir lane
    nack    note (written, synced), unlink N.json.processing, rename the ball to N.json, rmdir lane

A claim syncs nothing: a cut that undoes it only puts the order back.  An end is one as soon as
its archive file has its name; whatever of the rest is missing, the next claim of the order sees
the archive and drops it.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from functools import partial

import anyio
from attrs import define, evolve, field

from galaxy_adapters._files import storage_errors
from galaxy_adapters.queue_filesystem._archive import Archive, Source
from galaxy_adapters.queue_filesystem._aside import Aside, repeat_reason
from galaxy_adapters.queue_filesystem._holding import Holding, OrderGone
from galaxy_adapters.queue_filesystem._identity import Identity, Repeat
from galaxy_adapters.queue_filesystem._index import Lane
from galaxy_adapters.queue_filesystem._notes import Note, drop_note, read_note, write_note
from galaxy_adapters.queue_filesystem._paths import Ball, QueuePaths
from galaxy_adapters.queue_filesystem._reader import Found, Unfit, read_order, time_of
from galaxy_core.domain.errors import LeaseLost
from galaxy_core.domain.ids import LeaseToken
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending


@define(eq=False)
class Held:
    """One order in our hands."""

    ball: Ball
    lane: Lane
    order: Order
    found: Found
    attempt: int
    note: Note | None
    is_shown: bool = False
    """Whether we gave it its second name."""
    settling: anyio.Lock = field(factory=partial(anyio.Lock, fast_acquire=True))
    """Hardly ever waited for; who has it goes to a thread, so others have their turn anyway."""

    @property
    def token(self) -> LeaseToken:
        """The fencing token."""
        return LeaseToken(self.ball.token)

    @property
    def failures(self) -> int:
        """How many attempts before this one failed."""
        return self.note.failures if self.note is not None else 0


@define(eq=False)
class Desk:
    """The file side of claims and settlements.  Blocking, unless it says otherwise."""

    paths: QueuePaths
    holding: Holding
    identity: Identity
    archive: Archive
    aside: Aside
    max_file_bytes: int

    def inspect(self, ball: Ball) -> Found | Unfit:
        """Read what was taken.  Does not block for longer than a read."""
        return read_order(
            self.paths.ball(ball), ball.name, max_bytes=self.max_file_bytes, trust=self.paths.trust
        )

    def note_for(self, name: str, found: Found) -> Note | None:
        """The note that belongs to this content."""
        note = read_note(self.paths, name)
        return note if note is not None and note.digest == found.digest else None

    def drop_repeat(self, ball: Ball, repeat: Repeat) -> None:
        """Get rid of a file whose order is known already."""
        if repeat.is_leftover:
            # The archive has all that is in it.
            self.holding.discard(ball)
            drop_note(self.paths, ball.name)
            return
        self.set_aside(ball, repeat_reason(repeat.order_id), repeats=repeat.order_id)

    def set_aside(self, ball: Ball, reason: str, *, repeats: str | None = None) -> None:
        """Move a held file that is no order away."""
        self.holding.hide(ball)
        self.aside.put(self.paths.ball(ball), ball.name, reason, repeats=repeats)
        self.holding.free_lane(ball.lane)

    def end(self, held: Held, ending: Ending, ended_ns: int) -> None:
        """Archive the order and remove it from the queue.  Raises `LeaseLost`."""
        order, ball = held.order, held.ball
        with storage_errors("end an order in", self.paths.archive):
            self.check(held)
            source = Source.of(ball.name, held.found)
            self.archive.add(order, ending, source, claims=held.attempt, ended_ns=ended_ns)
        # From here on the order has ended, whatever becomes of the rest: a ball that could not be
        # removed is given back by the next healing, and dropped by its next claim.
        with contextlib.suppress(OSError):
            self.holding.discard(ball, is_shown=held.is_shown)
        with contextlib.suppress(OSError):
            self.identity.release(order.id)
        with contextlib.suppress(OSError):
            if held.note is not None:
                drop_note(self.paths, ball.name)

    def give_back(self, held: Held, note: Note) -> str:
        """Let the order wait again, with what there is to remember; its file's name.

        Raises `LeaseLost`.
        """
        ball = held.ball
        with storage_errors("give back an order in", self.paths.orders):
            self.check(held)
            write_note(self.paths, ball.name, note)
            try:
                return self.holding.give_back(
                    ball,
                    is_shown=held.is_shown,
                    on_new_name=lambda new: self.move(held.found, ball.name, new, note),
                )
            except OrderGone:
                raise lease_lost(held.order) from None

    def move(self, found: Found, old: str, new: str, note: Note | None) -> None:
        """An order has to wait under another file name: let its id and its note go with it."""
        order_id = self.identity.move(found, old, new)
        kept = note or Note(digest=found.digest, attempts=0, given_back_at=time_of(0))
        write_note(self.paths, new, evolve(kept, order_id=kept.order_id or order_id))

    def check(self, held: Held) -> None:
        """Raise `LeaseLost` when the order was taken over."""
        if not self.holding.is_ours(held.ball):
            raise lease_lost(held.order)


def lease_lost(order: Order) -> LeaseLost:
    """The error for an order that somebody else holds."""
    return LeaseLost(
        f"Order {order.id} is not held under this lease any more: another worker took it over."
    )


def note_of(held: Held, *, is_counted: bool, now: datetime, delay: timedelta, reason: str) -> Note:
    """What to remember of an order that is given back by its worker."""
    return Note(
        digest=held.found.digest,
        attempts=held.attempt if is_counted else held.attempt - 1,
        failures=held.failures + is_counted,
        given_back_at=now,
        delay=delay,
        reason=reason,
        order_id=held.order.id if held.order.id != held.found.order.id else None,
    )
