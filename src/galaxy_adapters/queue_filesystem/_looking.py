"""Finding orders that wait or are held, without an index: for who looks once and goes."""

from __future__ import annotations

import heapq
import itertools
import os
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from attrs import define, evolve, frozen

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
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId, safe_order_id
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.clock import Clock

PLACES_UP_TO = 2_000
"""With more waiting orders their places are left out: all of them would have to be read."""
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

    def moment(self) -> tuple[int, ...]:
        """Something that differs once an order has changed places."""
        return tuple(map(_changed, (self.paths.orders, self.paths.held, self.paths.archive)))

    # ---- held

    def held(self, order_id: OrderId) -> OrderView | None:
        """The order, if a worker holds it."""
        return next((f.view for f in self.all_held(order_id) if f.view.order.id == order_id), None)

    def all_held(self, order_id: OrderId | None = None) -> list[Found]:
        """Orders that workers hold; with `order_id`, at least that one."""
        owners = self._owners()
        found: list[Found] = []
        try:
            balls = survey_held(self.paths)[0]
        except FileNotFoundError:  # no worker has ever been here
            return found
        for ball in balls:
            known_id = owners.get(ball.name)
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

    def _owners(self) -> dict[str, OrderId]:
        """Which id each file goes by, for those that were claimed at least once."""
        owners: dict[str, OrderId] = {}
        try:
            ids = os.listdir(self.paths.ids)
        except FileNotFoundError:
            return owners
        for order_id in ids:
            owner = self.identity.owner(order_id)
            if owner is not None:
                owners[owner.name] = OrderId(order_id)
        return owners

    # ---- waiting

    def waiting(self, order_id: OrderId) -> OrderView | None:
        """The order, if it waits, with its place."""
        names = self._names()
        # Nearly always its file is named after it.
        own = order_id + ENDING
        if own in names:
            found = next(iter(self._read_those([own], lambda _data, _name: True)), None)
            if found is not None and found.entry.order_id == order_id:
                return self._view(found, place=self._place(found, names))
        # It may be a numbered id, which stands in no file: made from the one in the file.
        for text in dict.fromkeys((order_id, _NUMBER.sub("", order_id))):
            candidates = self._read_those(names, partial(_mentions, order_id=text))
            found = next((w for w in candidates if w.entry.order_id == order_id), None)
            if found is not None:
                return self._view(found, place=self._place(found, names))
        return None

    def all_waiting(self, limit: int | None) -> list[Found]:
        """The newest waiting orders; with their places, unless there are very many."""
        names = self._names()
        if len(names) <= PLACES_UP_TO or limit is None:
            waiting = self._read_those(names, lambda _data, _name: True)
            places: dict[str, itertools.count[int]] = {}
            found = []
            for item in sorted(waiting, key=lambda w: w.entry.turn):
                place = next(places.setdefault(item.entry.lane.key, itertools.count(1)))
                found.append(Found(item.file.stamp[0], self._view(item, place=place)))
            found.sort(key=lambda f: f.at)
            return found if limit is None else heapq.nlargest(limit, found, key=lambda f: f.at)
        newest = heapq.nlargest(limit, ((self._age(name), name) for name in names))
        waiting = self._read_those([name for _, name in newest], lambda _data, _name: True)
        return [Found(w.file.stamp[0], self._view(w, place=None)) for w in waiting]

    def count_waiting(self) -> int:
        """How many files wait."""
        return len(self._names())

    def _names(self) -> list[str]:
        try:
            return [name for name in os.listdir(self.paths.orders) if is_order_name(name)]
        except FileNotFoundError:
            return []

    def _age(self, name: str) -> int:
        try:
            return os.stat(self.paths.order(name), follow_symlinks=False).st_mtime_ns
        except FileNotFoundError:
            return 0

    def _read_those(
        self, names: Iterable[str], is_wanted: Callable[[bytes, str], bool]
    ) -> list[Waiting]:
        """Read the files that pass a cheap look, and give them ids as a worker's index does."""
        index = Index(
            self.machine,
            frozenset({self.machine.casefold()}),
            frozenset(),
            has_ended=lambda _id: True,
            is_taken=self.identity.is_taken,
        )
        read: list[tuple[FoundFile, str]] = []
        for name in names:
            path = self.paths.order(name)
            try:
                data, _ = read_plain_file(Path(path), limit=self.max_file_bytes)
                if not is_wanted(data, name):
                    continue
            except (OSError, UnreadableFile):  # gone, a folder, a pipe: no order for now
                continue
            file = read_order(path, name, max_bytes=self.max_file_bytes)
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

    def _place(self, found: Waiting, names: list[str]) -> int | None:
        if len(names) > PLACES_UP_TO:
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
