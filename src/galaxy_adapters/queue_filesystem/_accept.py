"""Accepting an order: when `accept` returns, it survives a power cut.

One file is written and synced under a scratch name, renamed into the orders' folder, and the
folder is synced; many who accept at once share that last sync.  A process that dies on the way
has accepted nothing: the order may be there or not, and handing it in again finds out.
"""

from __future__ import annotations

import itertools
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, evolve, field, frozen

from galaxy_adapters._files import (
    SharedSync,
    create_durably,
    create_named,
    storage_errors,
    write_durably,
)
from galaxy_adapters.queue_filesystem._archive import Archive
from galaxy_adapters.queue_filesystem._identity import Identity
from galaxy_adapters.queue_filesystem._paths import ENDING, QueuePaths, stem_of
from galaxy_adapters.queue_filesystem._reader import Found, read_order
from galaxy_core.domain.errors import InvalidOrder
from galaxy_core.domain.ids import OrderId, numbered, why_not_an_order_id
from galaxy_core.domain.order import Order
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_queue import Enqueued
from galaxy_core.wire.order import decode_order, encode_order

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CLOSE_NS = 1_000_000_000


@frozen
class Accepted:
    """What became of an order, and the file it lies in when it is new."""

    enqueued: Enqueued
    name: str | None = None


@define(eq=False)
class Acceptance:
    """Stores orders.  Its methods block, and are safe to call from many threads."""

    paths: QueuePaths
    clock: Clock
    archive: Archive
    identity: Identity
    _sync: SharedSync = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _last_ns: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._sync = SharedSync(Path(self.paths.orders))

    def next_arrival(self, known_ns: int = 0) -> int:
        """A change time for the next order, in ns: later than every one given out before.

        Also later than `known_ns`, that of another process's newest order, unless that lies in
        the future: a file dated by hand must not move everything after it there.
        """
        with self._lock:
            now = (self.clock.now() - _EPOCH) // _MICROSECOND * 1000
            if known_ns <= now + _CLOSE_NS:
                self._last_ns = max(self._last_ns, known_ns)
            self._last_ns = max(self._last_ns + 1, now)
            return self._last_ns

    def accept(self, order: Order, arrival_ns: int) -> Accepted:
        """Store the order under its id, or a numbered one if another order has that.

        Raises `InvalidOrder`, `StorageUnavailable`.
        """
        problem = why_not_an_order_id(order.id)
        if problem is not None:
            raise InvalidOrder(f"Order id {order.id!r} cannot be used: {problem}.")
        with storage_errors("store an order in", self.paths.orders):
            key = order.idempotency_key
            # An order whose id is its key needs no second record of it.
            if key is None or key == order.id:
                return self._store(order, arrival_ns)
            return self._store_once(order, key, arrival_ns)

    def is_known(self, order_id: OrderId) -> bool:
        """Whether some order has the id."""
        return self._rival(order_id) is not _NOBODY

    def free_id(self, order_id: OrderId) -> OrderId:
        """The first numbered id that no order has."""
        return next(
            candidate
            for number in itertools.count(2)
            if self._rival(candidate := numbered(order_id, number)) is _NOBODY
        )

    def _store(self, order: Order, arrival_ns: int) -> Accepted:
        for number in itertools.count(1):
            named = order if number == 1 else evolve(order, id=numbered(order.id, number))
            accepted = self._store_as(named, arrival_ns)
            if accepted is not None:
                return accepted
        raise AssertionError("numbers never run out")

    def _store_as(self, order: Order, arrival_ns: int) -> Accepted | None:
        """Store it under exactly its id; None when another order has that."""
        name = order.id + ENDING
        while True:
            rival = self._rival(order.id)
            if rival is _NOBODY:
                target = Path(self.paths.order(name))
                is_new = create_named(
                    target,
                    encode_order(order),
                    scratch=self.paths.scratch_folder,
                    modified_ns=arrival_ns,
                )
                if is_new:
                    self._sync.sync()
                    return Accepted(Enqueued(order_id=order.id, is_new=True), name)
                continue  # somebody was faster: look who
            if rival is None or not _is_same(rival, order):
                return None
            # Who stored it may have died before the sync, and this answer promises as much.
            self._sync.sync()
            return Accepted(Enqueued(order_id=order.id, is_new=False))

    def _store_once(self, order: Order, key: str, arrival_ns: int) -> Accepted:
        """Store it unless an order with this key is known.

        The key's file comes first: a crash in between leaves a key without its order, and
        whoever comes with the key again stores the order under the id that stands there.
        """
        record = Path(self.paths.key(key))
        known = _read_id(record)
        if known is None:
            wanted = self._first_free(order)
            if not create_durably(record, wanted.encode(), scratch=self.paths.scratch_folder):
                known = _read_id(record)
            else:
                known = wanted
                return self._store_for(record, evolve(order, id=known), arrival_ns)
        if known is not None and self._rival(known) is not _NOBODY:
            return Accepted(Enqueued(order_id=known, is_new=False))
        return self._store_for(record, evolve(order, id=known or order.id), arrival_ns)

    def _store_for(self, record: Path, order: Order, arrival_ns: int) -> Accepted:
        accepted = self._store(order, arrival_ns)
        if accepted.enqueued.order_id != order.id:  # the id was taken in between
            data = accepted.enqueued.order_id.encode()
            write_durably(record, data, scratch=self.paths.scratch_folder)
        return accepted

    def _first_free(self, order: Order) -> OrderId:
        for number in itertools.count(1):
            candidate = order.id if number == 1 else numbered(order.id, number)
            rival = self._rival(candidate)
            if rival is _NOBODY or (rival is not None and _is_same(rival, order)):
                return candidate
        raise AssertionError("numbers never run out")

    def _rival(self, order_id: OrderId) -> Order | None:
        """The order that has the id; `_NOBODY` when it is free, None when it cannot be read."""
        file_name = order_id + ENDING
        places = (
            self.paths.archived(order_id),
            self.paths.order(file_name),
            self.paths.owner(order_id),
            self.paths.response(order_id),
        )
        if not any(os.path.lexists(place) for place in places):
            return _NOBODY
        archived = self.archive.read(order_id)
        if archived is not None:
            return archived.order
        owner = self.identity.owner(order_id)
        names = [file_name] if owner is None else [owner.name, file_name]
        for name in names:
            # A held order is read under its second name.
            for path in (self.paths.shown(name), self.paths.order(name)):
                found = read_order(path, name)
                if isinstance(found, Found):
                    return found.order
        return None


_NOBODY = Order(id=OrderId("-"), payload="")
"""Stands for an id that is free."""


def _is_same(known: Order, order: Order) -> bool:
    """Whether both ask for the same, whatever ids they go by."""
    data = encode_order(order)
    written = decode_order(data, name=stem_of(order.id + ENDING), received_at=_EPOCH)
    return evolve(known, id=order.id, refusals=()) == evolve(written, id=order.id, refusals=())


def _read_id(record: Path) -> OrderId | None:
    try:
        return OrderId(record.read_text("utf-8"))
    except FileNotFoundError:
        return None
