"""The outbox on files: posted by any program with `cat`, read by one courier.

A letter that cannot be read may be half written: it is looked at again until it has not changed
for some seconds, and only then set aside.  What is no plain file is set aside at once.  Nothing is
ever deleted, and one letter that makes trouble never keeps the others.

A hand-written letter may be replaced by a new one of the same name while the old one is being
delivered.  The stamp taken when it was read tells them apart: the old one then goes on under a
number of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

import anyio
from anyio import to_thread
from attrs import define, evolve, field

from galaxy_adapters._files.hearing import Hearing
from galaxy_adapters.outbox_filesystem.box import Box, Found, Stamp
from galaxy_adapters.outbox_filesystem.notices import Notices
from galaxy_core.domain.errors import StorageUnavailable, UnreadableFile
from galaxy_core.domain.ids import safe_order_id
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink
from galaxy_core.ports.outbox import LetterCount, Outbox
from galaxy_core.wire.layout import Layout

__all__ = ["FilesystemOutbox"]

PATIENCE = timedelta(seconds=3)
"""How long a letter that cannot be read must stand still before it is set aside: editors and
scripts write within milliseconds, a slow copy over a network changes it more often than that."""

RESCAN = timedelta(seconds=30)
"""How long a letter can wait at most when its notice was lost."""
DOUBTFUL_RESCAN = timedelta(seconds=1)
"""The same, where notices do not come."""

MAX_LETTER_BYTES = 16 << 20
"""Longest letter that is read.  Anybody may write one; a chat shows some thousand characters."""


@define
class _Suspect:
    """A letter that cannot be read yet."""

    stamp: Stamp
    since: float
    """On the monotonic clock."""


@define(eq=False)
class FilesystemOutbox(Outbox):
    """Letters of one machine.  Any number of processes may post; one courier reads."""

    _layout: Layout
    _clock: Clock
    _incidents: IncidentSink
    _patience: timedelta = field(default=PATIENCE, kw_only=True)
    _limit: int = field(default=MAX_LETTER_BYTES, kw_only=True)
    _is_polling: bool = field(default=False, kw_only=True)
    """Look each second instead of being told: for folders that other hosts write to."""

    _box: Box = field(init=False)
    _hearing: Hearing = field(init=False)
    _notices: Notices = field(init=False)
    _one_step: anyio.Lock = field(factory=anyio.Lock, init=False)
    """One look or change at a time: the courier's steps, which run in threads, share the marks."""
    _names: frozenset[str] = field(default=frozenset(), init=False)
    """What waited at the last look."""
    _stamps: dict[str, Stamp] = field(factory=dict, init=False)
    """Of the letters given out."""
    _suspects: dict[str, _Suspect] = field(factory=dict, init=False)
    _last_arrival_ns: int = field(default=0, init=False)
    _arrival_lock: threading.Lock = field(factory=threading.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._box = Box(self._layout, self._limit)
        folder = self._layout.outbox
        self._hearing = Hearing(folder, self._clock, self._incidents)
        self._notices = Notices(folder, self._clock, self._is_polling, self._hearing)

    def close(self) -> None:
        """Stop watching the folder.  Safe twice."""
        self._notices.close()

    async def count(self) -> LetterCount:
        return await to_thread.run_sync(self._box.count)

    # ---- posting

    async def post(self, letter: Letter) -> bool:
        return await to_thread.run_sync(self._post, letter)

    def _post(self, letter: Letter) -> bool:
        letter = evolve(letter, name=safe_order_id(letter.name))
        if self._box.is_known(letter.name):
            return False
        if not self._box.put(letter, arrived_ns=self._next_arrival()):
            self._box.sync()  # its writer may have died before it did
            return False
        # A letter leaves its name only after it has got one among the known ones.  So whoever
        # finds its name free, but only after this look, has to look once more.
        if self._box.is_known(letter.name):
            self._box.take_out(letter.name)
            return False
        self._box.sync()
        return True

    def _next_arrival(self) -> int:
        # The kernel's time of change has steps of some milliseconds: too coarse to keep letters
        # that are posted one after the other in order.
        now = int(self._clock.now().timestamp() * 1_000_000_000)
        with self._arrival_lock:
            self._last_arrival_ns = max(self._last_arrival_ns + 1, now)
            return self._last_arrival_ns

    # ---- looking

    async def pending(
        self, limit: int = 100, *, skip: Collection[str] = frozenset()
    ) -> Sequence[Letter]:
        async with self._one_step:
            self._notices.take()  # before the look: what comes after it is a new notice
            known = self._names
            letters = await to_thread.run_sync(self._look, limit, frozenset(skip))
            if self._notices.are_asked_for:
                self._hearing.judge(self._names - known)
            return letters

    def _look(self, limit: int, skip: frozenset[str]) -> list[Letter]:
        found = self._box.scan()
        self._names = frozenset(one.name for one in found)
        for name in self._suspects.keys() - self._names:
            del self._suspects[name]
        for name in self._stamps.keys() - self._names:
            del self._stamps[name]
        letters: list[Letter] = []
        for one in found:
            if len(letters) == limit:
                break
            letter = None if one.name in skip else self._take(one)
            if letter is not None:
                letters.append(letter)
        return letters

    def _take(self, found: Found) -> Letter | None:
        if not found.is_plain_file:
            self._set_aside_unread(found, "Only a plain file can be a letter.")
            return None
        if self._box.finish_move(found):
            return None
        try:
            letter, stamp = self._box.read(found)
        except FileNotFoundError:  # its writer has changed his mind
            return None
        except UnreadableFile as error:
            self._suspect(found, str(error))
            return None
        self._suspects.pop(found.name, None)
        self._stamps[found.name] = stamp
        if letter.is_sent:
            # Sent by the original system, which left them here, or before a crash of ours.
            self._keep_going(found, lambda: self._box.archive(found))
            return None
        return letter

    def _suspect(self, found: Found, reason: str) -> None:
        now = self._clock.monotonic()
        suspect = self._suspects.get(found.name)
        if suspect is None or suspect.stamp != found.stamp:
            self._suspects[found.name] = _Suspect(found.stamp, now)
        elif now - suspect.since >= self._patience.total_seconds():
            del self._suspects[found.name]
            self._set_aside_unread(found, reason)

    def _set_aside_unread(self, found: Found, reason: str) -> None:
        def move() -> None:
            target = self._box.set_aside(found, reason)
            self._report(found, f"A letter to people was set aside: {reason} See {target}.")

        self._keep_going(found, move)

    def _keep_going(self, found: Found, move: Callable[[], object]) -> None:
        """Move one letter; where that fails, tell of it and go on with the others."""
        try:
            move()
        except StorageUnavailable as error:
            if self._box.find(found.name) is not None:  # else somebody else took it away
                self._report(found, f"A letter to people cannot be moved: {error}")

    def _report(self, found: Found, message: str) -> None:
        self._incidents.report(
            Incident(
                kind="letter_set_aside",
                message=message,
                key=f"letter:{found.name}:{found.stamp}",
                is_for_people=True,
                data={"letter": found.name},
            )
        )

    # ---- delivering

    async def record(self, letter: Letter, receipt: Receipt) -> Letter:
        async with self._one_step:
            return await to_thread.run_sync(self._record, letter, receipt)

    def _record(self, letter: Letter, receipt: Receipt) -> Letter:
        letter = evolve(letter, receipts=(*letter.receipts, receipt))
        found = self._find(letter)
        if found is not None:  # else somebody took it away: it is not put back
            self._box.rewrite(found, letter)
            self._remember(found.name)
            letter = evolve(letter, name=found.name)
        return letter

    async def mark_sent(self, letter: Letter) -> None:
        async with self._one_step:
            await to_thread.run_sync(self._mark_sent, letter)

    def _mark_sent(self, letter: Letter) -> None:
        found = self._find(letter)
        if found is None:
            return
        sent = evolve(letter, name=found.name, is_sent=True)
        self._box.rewrite(found, sent, sent_at=self._clock.now())
        self._stamps.pop(found.name, None)
        # A crash here leaves a letter that says it is sent: the next look moves it.
        moved = self._box.find(found.name)
        if moved is not None:
            self._box.archive(moved)

    async def set_aside(self, letter: Letter, reason: str) -> None:
        async with self._one_step:
            await to_thread.run_sync(self._set_aside, letter, reason)

    def _set_aside(self, letter: Letter, reason: str) -> None:
        found = self._find(letter)
        if found is not None:
            self._stamps.pop(found.name, None)
            self._box.set_aside(found, reason)

    def _find(self, letter: Letter) -> Found | None:
        """The file of a letter; None when it is not there any more.

        Where a new letter has got the name of one that was given out, the old one gets a file
        under a number.
        """
        found = self._box.find(letter.name)
        stamp = self._stamps.get(letter.name)
        if found is None or stamp == found.stamp:
            return found
        held = self._held_as(found, letter)
        if stamp is None:
            # Not given out by this adapter, or done with: then the name may be a new letter's.
            return found if held is not None else None
        if held is not None and (held.receipts or held.is_sent):
            # Nobody else writes receipts: a change of ours failed after its new file was there.
            self._stamps[found.name] = found.stamp
            return found
        name = self._box.fork(letter, arrived_ns=found.arrived_ns)
        return self._box.find(name)

    def _held_as(self, found: Found, letter: Letter) -> Letter | None:
        """The letter in the file, if it is this one, however far it has been delivered."""
        try:
            held, _ = self._box.read(found)
        except (UnreadableFile, OSError):
            return None
        unsent = evolve(letter, receipts=(), is_sent=False)
        return held if evolve(held, receipts=(), is_sent=False) == unsent else None

    def _remember(self, name: str) -> None:
        found = self._box.find(name)
        if found is not None:
            self._stamps[name] = found.stamp

    # ---- waiting

    async def wait(self, timeout: timedelta | None = None) -> bool:
        end = None if timeout is None else self._clock.monotonic() + timeout.total_seconds()
        rescan_at = self._clock.monotonic() + self._rescan_every().total_seconds()
        await to_thread.run_sync(self._box.prepare)
        # A letter may have come since the last look and before the watch.
        is_doubtful = self._notices.open()
        while True:
            if self._notices.take() or (is_doubtful and await self._has_new_names()):
                return True
            is_doubtful = False
            now = self._clock.monotonic()
            if end is not None and now >= end:
                return False
            if now >= rescan_at:
                if self._hearing.is_in_doubt and not self._hearing.is_deaf:
                    return True  # another look decides whether a notice has gone astray
                is_doubtful, rescan_at = True, now + self._rescan_every().total_seconds()
                continue
            ripe_at = self._first_suspect_ripe_at()
            if ripe_at is not None and now >= ripe_at:
                return True
            moments = [at for at in (end, rescan_at, ripe_at) if at is not None]
            await self._notices.wait(timedelta(seconds=min(moments) - now))

    def _rescan_every(self) -> timedelta:
        return DOUBTFUL_RESCAN if self._hearing.is_in_doubt else RESCAN

    async def _has_new_names(self) -> bool:
        """Whether something waits that the last look did not see."""
        found = await to_thread.run_sync(self._box.scan)
        return any(one.name not in self._names for one in found)

    def _first_suspect_ripe_at(self) -> float | None:
        if not self._suspects:
            return None
        first = min(suspect.since for suspect in self._suspects.values())
        return first + self._patience.total_seconds()
