"""Finding waiting orders: what lies in the folder at start, and what is dropped in later.

A file that does not parse may be half-written: it is looked at again until it parses, and set
aside once it has stayed the same for a while with nobody writing it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from datetime import timedelta
from pathlib import Path

import anyio.to_thread
from attrs import define, field, frozen

from galaxy_adapters._files import rename_exclusively, storage_errors
from galaxy_adapters.queue_filesystem._accept import NewFile
from galaxy_adapters.queue_filesystem._aside import Aside
from galaxy_adapters.queue_filesystem._holding import shown_name
from galaxy_adapters.queue_filesystem._index import Entry, Index
from galaxy_adapters.queue_filesystem._notes import read_note
from galaxy_adapters.queue_filesystem._paths import (
    ENDING,
    MAX_NAME_BYTES,
    QueuePaths,
    is_order_name,
    stem_of,
)
from galaxy_adapters.queue_filesystem._reader import (
    Fault,
    Found,
    Stamp,
    Unfit,
    is_being_written,
    read_order,
    stamp_of,
)
from galaxy_core.domain.ids import numbered, safe_order_id
from galaxy_core.ports.clock import Clock

SLICE_SECONDS = 0.002
"""Longest time for which reading a backlog keeps the event loop from other work."""


@frozen
class Unsettled:
    """A file that does not parse (yet)."""

    stamp: Stamp
    since: float
    reason: str


@frozen
class Scan:
    """What a look at the whole folder brought; names only."""

    unknown: list[str]
    """Files that wait and were not known when it began."""
    missing: list[str]
    """Known ones that do not wait there."""
    shown: list[str]
    """Orders that are shown as held."""


@define(eq=False)
class Intake:
    """Reads waiting orders into the index.  For one event loop."""

    paths: QueuePaths
    index: Index
    aside: Aside
    clock: Clock
    max_file_bytes: int
    settle_after: timedelta
    fresh: list[str] = field(factory=list, init=False)
    """What the last scan found that was not known."""
    _backlog: deque[str] = field(factory=deque, init=False)
    _unsettled: dict[str, Unsettled] = field(factory=dict, init=False)
    _rejected: dict[str, Unfit] = field(factory=dict, init=False)

    @property
    def is_loading(self) -> bool:
        """Whether files that were found have not been read yet."""
        return bool(self._backlog)

    @property
    def is_unsettled(self) -> bool:
        """Whether some file has to be looked at again."""
        return bool(self._unsettled or self._rejected)

    async def scan(self) -> list[str]:
        """Find all files, to be read oldest first; returns names that are shown as held."""
        known = list(self.index.file_names())
        found = await anyio.to_thread.run_sync(_scan, self.paths.orders, known)
        for name in found.missing:
            # Removed by hand, claimed by another worker, or come back since.
            self.look(name)
        queued = set(self._backlog)
        # Some may have been heard of while the folder was read.
        self.fresh = fresh = [
            name for name in found.unknown if self.index.get(name) is None and name not in queued
        ]
        if fresh:
            self._backlog.extend(await anyio.to_thread.run_sync(self._by_age, fresh))
        return found.shown

    def load(self, seconds: float = SLICE_SECONDS) -> None:
        """Read files of the backlog for at most so long."""
        end = time.perf_counter() + seconds
        while self._backlog and time.perf_counter() < end:
            self.look(self._backlog.popleft())

    def notice(self, name: str) -> bool:
        """Something happened to a file: look at it in its turn; whether there is news."""
        if self._backlog:
            # Older files of its conversation may not have been read yet.
            self._backlog.append(name)
            return True
        known = self.index.get(name)
        return self.look(name) is not known or name in self._unsettled or name in self._rejected

    def welcome(self, file: NewFile) -> None:
        """Take in an order that was just stored, without reading it again."""
        if self._backlog:
            self._backlog.append(file.name)
        elif self.index.get(file.name) is None and os.path.lexists(self.paths.order(file.name)):
            self.index.add(file.name, file.order, file.stamp)

    def look(self, name: str) -> Entry | None:
        """Read one file, unless it is known as it stands; its order, if it waits.

        Raises `StorageUnavailable`.
        """
        path = self.paths.order(name)
        known = self.index.get(name)
        try:
            stat = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            self.forget(name)
            return None
        except OSError as error:
            if not isinstance(error, PermissionError):
                raise
            return None
        if known is not None and known.stamp == stamp_of(stat):
            return known
        if len(os.fsencode(name)) > MAX_NAME_BYTES:
            return self._shorten(name)
        found = read_order(path, name, max_bytes=self.max_file_bytes, trust=self.paths.trust)
        if isinstance(found, Unfit):
            self.index.remove(name)
            self._judge(name, found)
            return None
        self._unsettled.pop(name, None)
        self._rejected.pop(name, None)
        return self.admit(name, found)

    def admit(self, name: str, found: Found) -> Entry:
        """Put an order that was read into the index, with what its note says."""
        with storage_errors("read", self.paths.note(name)):
            note = read_note(self.paths, name)
        if note is not None and note.digest != found.digest:
            note = None
        wanted = note.order_id if note is not None else None
        entry = self.index.add(
            name,
            found.order,
            found.stamp,
            wanted_id=None if wanted is None else safe_order_id(wanted),
            is_begun=note is not None,
        )
        if note is not None:
            left = note.remaining(self.clock.now())
            self.index.delay(
                entry,
                until=self.clock.monotonic() + max(left, timedelta(0)).total_seconds(),
                given_back_at=note.given_back_at,
                known_wish=note.given_back_at,
            )
        return entry

    def forget(self, name: str) -> None:
        """The file is gone."""
        self.index.remove(name)
        self._unsettled.pop(name, None)
        self._rejected.pop(name, None)

    def until_settled(self) -> timedelta | None:
        """Time until a file has to be looked at again; None when there is none."""
        if self._rejected:
            return timedelta(0)
        if not self._unsettled:
            return None
        oldest = min(u.since for u in self._unsettled.values())
        due = oldest + self.settle_after.total_seconds()
        return max(timedelta(seconds=due - self.clock.monotonic()), timedelta(milliseconds=50))

    async def settle(self) -> None:
        """Look again at files that did not parse, and set aside those that never will.

        Raises `StorageUnavailable` when one cannot be moved; the others are done all the same.
        """
        for name in list(self._unsettled):
            self.look(name)
        failure: OSError | None = None
        for name, unfit in list(self._rejected.items()):
            try:
                await self._set_aside(name, unfit)
            except OSError as error:
                failure = error
        if failure is not None:
            raise failure

    async def _set_aside(self, name: str, unfit: Unfit) -> None:
        path = self.paths.order(name)
        put = self.aside.put
        try:
            await anyio.to_thread.run_sync(put, path, name, unfit.reason)
        finally:
            # If it could not be moved, the next rescan finds it again.
            self._rejected.pop(name, None)
            self._unsettled.pop(name, None)

    def _judge(self, name: str, unfit: Unfit) -> None:
        """Decide about a file that is no order as it stands."""
        if unfit.fault is Fault.GONE:
            self.forget(name)
            return
        if unfit.fault is not Fault.UNREADABLE:
            self._rejected[name] = unfit
            return
        now = self.clock.monotonic()
        known = self._unsettled.get(name)
        if known is None or known.stamp != unfit.stamp:
            self._unsettled[name] = Unsettled(unfit.stamp, now, unfit.reason)
            return
        if now - known.since < self.settle_after.total_seconds():
            return
        if is_being_written(self.paths.order(name)):
            self._unsettled[name] = Unsettled(unfit.stamp, now, unfit.reason)
            return
        self._rejected[name] = unfit

    def _shorten(self, name: str) -> Entry | None:
        """Give a file with a very long name a shorter one: a held file's name is a token longer."""
        stem = safe_order_id(stem_of(name))
        for number in range(1, 1000):
            shorter = (stem if number == 1 else numbered(stem, number)) + ENDING
            with contextlib.suppress(FileNotFoundError):
                if rename_exclusively(self.paths.order(name), self.paths.order(shorter)):
                    self.forget(name)
                    return self.look(shorter)
        return None

    def _by_age(self, names: list[str]) -> list[str]:
        """Sort files by arrival; those that are gone by now come first."""
        ages = []
        for name in names:
            try:
                modified = os.stat(self.paths.order(name), follow_symlinks=False).st_mtime_ns
            except OSError:
                modified = 0
            ages.append((modified, name))
        ages.sort()
        return [name for _, name in ages]


def _scan(folder: str, known: list[str]) -> Scan:
    """Read the folder, and compare it with the names that are known.  Blocks."""
    with storage_errors("read the folder", folder):
        names = os.listdir(Path(folder))
    waiting = {name for name in names if is_order_name(name)}
    return Scan(
        unknown=list(waiting.difference(known)),
        missing=[name for name in known if name not in waiting],
        shown=[order for name in names if (order := shown_name(name)) is not None],
    )
