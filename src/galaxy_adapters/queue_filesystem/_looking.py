"""Finding orders that wait or are held, without an index: for who looks once and goes."""

from __future__ import annotations

import heapq
import itertools
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from attrs import define, evolve, field, frozen

from galaxy_adapters._files import read_plain_file
from galaxy_adapters.queue_filesystem._holding import survey_held
from galaxy_adapters.queue_filesystem._identity import Identity
from galaxy_adapters.queue_filesystem._index import Entry, Index
from galaxy_adapters.queue_filesystem._notes import Note, read_note
from galaxy_adapters.queue_filesystem._paths import (
    ENDING,
    Ball,
    QueuePaths,
    is_order_name,
    stem_of,
)
from galaxy_adapters.queue_filesystem._reader import Found as FoundFile
from galaxy_adapters.queue_filesystem._reader import read_order, time_of
from galaxy_core.domain.errors import StorageUnavailable, UnreadableFile
from galaxy_core.domain.ids import OrderId, safe_order_id
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.clock import Clock

PLACES_UP_TO = 2_000
"""With more waiting orders their places are left out: all of them would have to be read."""
CROWDED_FOR = 5.0
"""Seconds for which nobody counts again that so many wait."""
REMEMBERED = 10_000
"""Orders whose files are not named after them, and are remembered from earlier looks."""
_NUMBER = re.compile(r"-\d+$")
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]+")


@frozen
class Found:
    """An order as people see it, and the time by which lists are sorted, in ns."""

    at: int
    view: OrderView


@frozen
class Waiting:
    """A waiting file that was read."""

    file: FoundFile
    entry: Entry
    note: Note | None


@define(eq=False)
class Looking:
    """Reads; takes and changes nothing.  Blocks."""

    paths: QueuePaths
    identity: Identity
    machine: str
    clock: Clock
    max_file_bytes: int
    _seen: OrderedDict[OrderId, str] = field(factory=OrderedDict, init=False)
    """File names of waiting orders that are named otherwise, those last that were last asked for:
    so one that is looked at again and again is searched for once."""
    _crowded_until: float = field(default=float("-inf"), init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def moment(self) -> tuple[int, ...]:
        """Something that differs once an order has changed places."""
        return tuple(map(_changed, (self.paths.orders, self.paths.held, self.paths.archive)))

    # ---- held

    def held(self, order_id: OrderId) -> OrderView | None:
        """The order, if a worker holds it."""
        return next((f.view for f in self.all_held(order_id) if f.view.order.id == order_id), None)

    def all_held(self, order_id: OrderId | None = None) -> list[Found]:
        """Orders that workers hold; with `order_id`, at least that one."""
        found: list[Found] = []
        owners: dict[tuple[str, str], OrderId] | None = None
        for ball in survey_held(self.paths)[0]:
            changed = str(_changed(self.paths.ball(ball)))
            known_id = self._named_after(ball, changed)
            if known_id is None:
                # All links are read where they must be: one stays for each order that waits anew.
                owners = self._owners() if owners is None else owners
                known_id = owners.get((ball.name, changed)) or owners.get((ball.name, ""))
            if order_id is not None and known_id is not None and known_id != order_id:
                continue
            item = self._held(ball, known_id)
            if item is not None:
                found.append(item)
        return found

    def _held(self, ball: Ball, known_id: OrderId | None) -> Found | None:
        file = read_order(self.paths.ball(ball), ball.name, max_bytes=self.max_file_bytes)
        if not isinstance(file, FoundFile):
            return None
        order = _under(file.order, known_id or file.order.id)
        note = self._note(ball.name, file)
        is_running = os.path.lexists(self.paths.journal(order.id))
        view = OrderView(
            order=order,
            state=OrderState.RUNNING if is_running else OrderState.CLAIMED,
            attempts=1 + (note.attempts if note is not None else 0),
            received_at=time_of(file.stamp[0]),
        )
        return Found(file.stamp[0], view)

    def _named_after(self, ball: Ball, changed: str) -> OrderId | None:
        """The id that is the file's name, if it is the file's."""
        order_id = OrderId(stem_of(ball.name))
        owner = self.identity.owner(order_id)
        # A cut may leave the link of an earlier file of that name.
        is_its = owner is not None and (owner.name, owner.modified_ns) == (ball.name, changed)
        return order_id if is_its else None

    def _owners(self) -> dict[tuple[str, str], OrderId]:
        """Which id each file goes by, for those that were claimed at least once.

        By name and change time; and by name and "", for one that somebody has touched since.
        """
        owners: dict[tuple[str, str], OrderId] = {}
        try:
            ids = os.listdir(self.paths.ids)
        except FileNotFoundError:
            return owners
        for order_id in ids:
            owner = self.identity.owner(order_id)
            if owner is not None:
                owners[owner.name, owner.modified_ns] = OrderId(order_id)
                owners[owner.name, ""] = OrderId(order_id)
        return owners

    # ---- waiting

    def waiting(self, order_id: OrderId) -> OrderView | None:
        """The order, if it waits under a name that is known, with its place.

        Nearly always its file is named after it; else it was claimed before, or seen by a look.
        """
        owner = self.identity.owner(order_id)
        with self._lock:
            seen = self._seen.get(order_id)
            if seen is not None:
                self._seen.move_to_end(order_id)
        names = (order_id + ENDING, owner.name if owner is not None else None, seen)
        for name in dict.fromkeys(filter(None, names)):
            found = next(iter(self._read_those([name])), None)
            if found is not None and found.entry.order_id == order_id:
                return self._view(found, place=self._place(found))
        return None

    def search(self, order_id: OrderId) -> OrderView | None:
        """The order, if it waits under whatever name: reads every file that waits."""
        names = self._names()
        # It may be a numbered id, which stands in no file: made from the one in the file.
        for text in dict.fromkeys((order_id, _NUMBER.sub("", order_id))):
            candidates = self._read_those(names, partial(_mentions, order_id=text))
            found = next((w for w in candidates if w.entry.order_id == order_id), None)
            if found is not None:
                self._remember([found])
                return self._view(found, place=self._place(found))
        return None

    def all_waiting(self, limit: int | None, *, oldest_first: bool = False) -> list[Found]:
        """The newest (or oldest) waiting orders; with their places, unless there are very many.

        With a limit no more than that many files are read, or `PLACES_UP_TO`.
        """
        names = self._names() if limit is None else self._few_names()
        if names is not None:
            waiting = self._read_those(names)
            places: dict[str, itertools.count[int]] = {}
            found = []
            for item in sorted(waiting, key=lambda w: w.entry.turn):
                place = next(places.setdefault(item.entry.lane.key, itertools.count(1)))
                found.append(Found(item.file.stamp[0], self._view(item, place=place)))
            found.sort(key=lambda f: f.at)
            if limit is None:
                return found
            first = heapq.nsmallest if oldest_first else heapq.nlargest
            return first(limit, found, key=lambda f: f.at)
        waiting = self._read_those(self._first_names(limit or 0, oldest_first=oldest_first))
        self._remember(waiting)
        return [Found(w.file.stamp[0], self._view(w, place=None)) for w in waiting]

    def names_by_age(self) -> list[str]:
        """Files that wait, the oldest first."""
        return [name for _, name in sorted(self._ages())]

    def read_waiting(self, names: Iterable[str], taken: set[OrderId]) -> dict[str, OrderView]:
        """Those of the files that are orders; adds their ids to those that are `taken`.

        Raises `StorageUnavailable` for one that the disk does not give out: it may be an order.
        """
        waiting = self._read_those(names, taken=taken, is_each_needed=True)
        taken.update(each.entry.order_id for each in waiting)
        return {each.entry.name: self._view(each, place=None) for each in waiting}

    def count_waiting(self) -> int:
        """How many files wait."""
        try:
            return sum(1 for name in os.listdir(self.paths.orders) if is_order_name(name))
        except FileNotFoundError:
            return 0

    def _names(self, most: int | None = None) -> list[str]:
        """Names of files that wait; `most` ends the look at that many."""
        try:
            with os.scandir(self.paths.orders) as entries:
                return list(itertools.islice(map(_name, filter(_is_order, entries)), most))
        except FileNotFoundError:
            return []

    def _few_names(self) -> list[str] | None:
        """All names; None when more wait than have places.  Looks at no more of them."""
        few = self._names(PLACES_UP_TO + 1)
        return few if len(few) <= PLACES_UP_TO else None

    def _first_names(self, limit: int, *, oldest_first: bool) -> list[str]:
        """Names of the newest (or oldest) files: one look at each, and none is kept in mind."""
        first = heapq.nsmallest if oldest_first else heapq.nlargest
        return [name for _, name in first(limit, self._ages())]

    def _ages(self) -> Iterator[tuple[int, str]]:
        """Change times in ns and names of all files that may be orders."""
        try:
            # By a handle: a fifth less to do for the kernel than by whole paths.
            folder = os.open(self.paths.orders, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            with os.scandir(folder) as entries:
                for entry in filter(_is_order, entries):
                    try:
                        yield entry.stat(follow_symlinks=False).st_mtime_ns, entry.name
                    except FileNotFoundError:  # claimed at this moment
                        continue
        finally:
            os.close(folder)

    def _remember(self, waiting: Iterable[Waiting]) -> None:
        with self._lock:
            for each in waiting:
                name, order_id = each.entry.name, each.entry.order_id
                if name != order_id + ENDING:
                    self._seen[order_id] = name
                    self._seen.move_to_end(order_id)
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def _read_those(
        self,
        names: Iterable[str],
        is_wanted: Callable[[bytes, str], bool] | None = None,
        *,
        taken: Container[OrderId] = (),
        is_each_needed: bool = False,
    ) -> list[Waiting]:
        """Read the files that pass a cheap look, and give them ids as a worker's index does.

        Orders that came before these have the ids that are `taken`.
        """

        def is_taken(order_id: OrderId, name: str, modified_ns: int) -> bool:
            return (
                order_id in taken
                or self.identity.is_taken(order_id, name, modified_ns)
                or self._is_named_so(order_id, name)
            )

        index = Index(
            self.machine,
            frozenset({self.machine.casefold()}),
            frozenset(),
            has_ended=lambda _id: True,
            is_taken=is_taken,
        )
        read: list[tuple[FoundFile, str]] = []
        for name in names:
            path = self.paths.order(name)
            try:
                if is_wanted is not None:
                    data, _ = read_plain_file(Path(path), limit=self.max_file_bytes)
                    if not is_wanted(data, name):
                        continue
                file = read_order(path, name, max_bytes=self.max_file_bytes)
            except StorageUnavailable:
                if is_each_needed:
                    raise
                continue
            except (OSError, UnreadableFile):
                continue  # gone, a folder, a pipe: no order for now
            if isinstance(file, FoundFile):
                read.append((file, name))
        waiting = []
        for file, name in sorted(read, key=lambda item: (item[0].stamp[0], item[1])):
            note = self._note(name, file)
            wanted = OrderId(note.order_id) if note is not None and note.order_id else None
            is_begun = note is not None
            entry = index.add(name, file.order, file.stamp, wanted_id=wanted, is_begun=is_begun)
            waiting.append(Waiting(file, entry, note))
        return waiting

    def _is_named_so(self, order_id: OrderId, name: str) -> bool:
        """Whether another waiting file, which need not be among those read, is named after the id.

        That one has the better claim to it, unless this one was claimed under it before.
        """
        if name == order_id + ENDING or self.identity.owner(order_id) is not None:
            return False
        path = self.paths.order(order_id + ENDING)
        return os.path.isfile(path) and not os.path.islink(path)

    def _place(self, found: Waiting) -> int | None:
        if self.clock.monotonic() < self._crowded_until:
            return None
        names = self._few_names()
        if names is None:
            self._crowded_until = self.clock.monotonic() + CROWDED_FOR
            return None
        order = found.file.order
        literal = order.session or order.chat_id
        # A text that JSON may write in several ways cannot be searched for in the bytes.
        is_searchable = literal is not None and literal.isalnum() and literal.isascii()
        needle = literal.encode() if is_searchable and literal is not None else b""
        same = [
            w
            for w in self._read_those(names, lambda data, _name: needle in data)
            if w.entry.lane.key == found.entry.lane.key
        ]
        return max(1, sum(1 for w in same if w.entry.turn <= found.entry.turn))

    def _view(self, waiting: Waiting, *, place: int | None) -> OrderView:
        now = self.clock.now()
        moments: list[datetime] = []
        order = _under(waiting.file.order, waiting.entry.order_id)
        if order.not_before is not None:
            moments.append(order.not_before)
        note = waiting.note
        if note is not None and note.remaining(now) > timedelta(0):
            moments.append(now + note.remaining(now))
        return OrderView(
            order=order,
            state=OrderState.PENDING,
            attempts=note.attempts if note is not None else 0,
            place=place,
            waits_until=max((m for m in moments if m > now), default=None),
            received_at=time_of(waiting.file.stamp[0]),
        )

    def _note(self, name: str, file: FoundFile) -> Note | None:
        note = read_note(self.paths, name)
        return note if note is not None and note.digest == file.digest else None


def _is_order(entry: os.DirEntry[str]) -> bool:
    return is_order_name(entry.name) and entry.is_file(follow_symlinks=False)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _under(order: Order, order_id: OrderId) -> Order:
    """The order with the id that it goes by here."""
    return order if order.id == order_id else evolve(order, id=order_id)


def _mentions(data: bytes, name: str, order_id: str) -> bool:
    """Whether a file might be the order with an id that begins so."""
    if safe_order_id(stem_of(name)).startswith(order_id):
        return True
    # JSON writes these characters in one way only; an id with others is searched for by reading.
    return _PLAIN.fullmatch(order_id) is None or order_id.encode() in data


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return 0
