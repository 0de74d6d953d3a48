"""Accepting an order: when `accept` returns, it survives a power cut.

One file is written under a scratch name, renamed into the orders' folder, and both are synced;
many who accept at once share the folder's sync.  A process that dies on the way has accepted
nothing: the order may be there or not (after a power cut also torn, and is set aside then), and
handing it in again finds out.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from attrs import define, evolve, field, frozen

from galaxy_adapters._files import (
    Publication,
    SharedSync,
    create_durably,
    side_by_side,
    storage_errors,
    sync_file,
    write_durably,
)
from galaxy_adapters._plain_file import open_plain_file
from galaxy_adapters.queue_filesystem._archive import Archive
from galaxy_adapters.queue_filesystem._identity import Identity
from galaxy_adapters.queue_filesystem._paths import ENDING, QueuePaths, stem_of
from galaxy_adapters.queue_filesystem._reader import Found, Stamp, read_order
from galaxy_core.domain.errors import GalaxyError, InvalidOrder, StorageUnavailable
from galaxy_core.domain.ids import OrderId, numbered, why_not_an_order_id
from galaxy_core.domain.order import Order
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_queue import Enqueued
from galaxy_core.wire.order import decode_order, encode_order

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_CLOSE_NS = 1_000_000_000


@frozen
class NewFile:
    """The file in which a new order lies."""

    name: str
    order: Order
    stamp: Stamp


@frozen
class Accepted:
    """What became of an order, and its file when it is new."""

    enqueued: Enqueued
    file: NewFile | None = None


@frozen
class Incoming:
    """An order to be stored, with all that can be made ready while others are written."""

    order: Order
    arrival_ns: int
    data: bytes = field(init=False)
    """Its file, under the id that it came with."""

    @data.default
    def _encoded(self) -> bytes:
        return encode_order(self.order)


@frozen
class Rival:
    """Who has an id already: the order (None when it cannot be read) and its file."""

    order: Order | None
    path: str


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
        self._sync = SharedSync(self.paths.orders)

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
        _check_id(order)
        with storage_errors("store an order in", self.paths.orders):
            key = order.idempotency_key
            # An order whose id is its key needs no second record of it.
            if key is not None and key != order.id:
                return self._store_once(order, key, arrival_ns)
            return self._store(order, arrival_ns)

    def accept_all(self, orders: Sequence[Incoming]) -> list[Accepted | GalaxyError]:
        """Store many orders and share the syncs; what became of each.

        They have no idempotency key, or one that is their id.
        """
        results: list[Accepted | GalaxyError] = []
        begun: dict[int, Publication] = {}
        for incoming in orders:
            try:
                _check_id(incoming.order)
                with storage_errors("store an order in", self.paths.orders):
                    accepted, publication = self._begin(incoming)
                if publication is not None:
                    begun[len(results)] = publication
                results.append(accepted)
            except GalaxyError as error:
                results.append(error)
        for number, failure in self._sync_all(begun):
            results[number] = failure
        return results

    def _sync_all(self, begun: dict[int, Publication]) -> Iterator[tuple[int, StorageUnavailable]]:
        """Sync files and their folder; which of them failed."""
        if len(begun) > 1:
            for publication in begun.values():
                publication.start_writing_back()
        syncs = [partial(self._sync_one, publication) for publication in begun.values()]
        failures = dict(zip(begun, side_by_side(syncs), strict=True)) if syncs else {}
        yield from ((number, error) for number, error in failures.items() if error is not None)
        synced = [number for number, error in failures.items() if error is None]
        try:
            if synced:
                self._sync.sync()
        except StorageUnavailable as error:
            for number in synced:
                yield number, error

    def _sync_one(self, publication: Publication) -> StorageUnavailable | None:
        """Sync one file; what went wrong."""
        try:
            with storage_errors("store an order in", self.paths.orders):
                publication.sync()
        except StorageUnavailable as error:
            return error
        return None

    def is_known(self, order_id: OrderId) -> bool:
        """Whether some order has the id."""
        return self._rival(order_id) is not None

    def free_id(self, order_id: OrderId) -> OrderId:
        """The first numbered id that no order has."""
        return next(
            candidate
            for number in itertools.count(2)
            if self._rival(candidate := numbered(order_id, number)) is None
        )

    def _store(self, order: Order, arrival_ns: int) -> Accepted:
        accepted, publication = self._begin(Incoming(order, arrival_ns))
        if publication is not None:
            publication.sync()
            self._sync.sync()
        return accepted

    def _begin(self, incoming: Incoming) -> tuple[Accepted, Publication | None]:
        """Give the order's file its name; what is still to be synced, if it is new."""
        order, arrival_ns = incoming.order, incoming.arrival_ns
        for candidate in _candidates(order):
            name = candidate.id + ENDING
            rival = self._rival(candidate.id) if self._is_used(candidate.id) else None
            while rival is None:
                publication = Publication(
                    self.paths.order(name),
                    incoming.data if candidate is order else encode_order(candidate),
                    scratch=self.paths.scratch,
                    modified_ns=arrival_ns,
                )
                if publication.begin():
                    enqueued = Enqueued(order_id=candidate.id, is_new=True)
                    stamp = (arrival_ns, publication.size, publication.inode)
                    return Accepted(enqueued, NewFile(name, candidate, stamp)), publication
                rival = self._rival(candidate.id)  # whose file has the name
            repeated = self._repeat(rival, candidate)
            if repeated is not None:
                return repeated, None
        raise AssertionError("numbers never run out")

    def _repeat(self, rival: Rival, order: Order) -> Accepted | None:
        """Accept an order that is stored already; None when it is another one."""
        if rival.order is None or not _is_same(rival.order, order):
            return None
        # Who stored it may have died before the syncs, and this answer promises as much.
        with contextlib.suppress(FileNotFoundError):  # moved on meanwhile, by a worker
            fd = open_plain_file(rival.path)
            try:
                sync_file(fd)
            finally:
                os.close(fd)
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
            is_ours = create_durably(record, wanted.encode(), scratch=self.paths.scratch_folder)
            known = wanted if is_ours else _read_id(record)
        else:
            rival = self._rival(known)
            # One that cannot be read was torn by a power cut before it was accepted.
            if rival is not None and rival.order is not None:
                return Accepted(Enqueued(order_id=known, is_new=False))
        again = evolve(order, id=known or order.id)
        accepted = self._store(again, arrival_ns)
        if accepted.enqueued.order_id != again.id:  # another order has taken the id
            data = accepted.enqueued.order_id.encode()
            write_durably(record, data, scratch=self.paths.scratch_folder)
        return accepted

    def _first_free(self, order: Order) -> OrderId:
        for candidate in _candidates(order):
            rival = self._rival(candidate.id)
            if rival is None or (rival.order is not None and _is_same(rival.order, order)):
                return candidate.id
        raise AssertionError("numbers never run out")

    def _is_used(self, order_id: OrderId) -> bool:
        """Whether an order that does not wait as `<id>.json` has the id."""
        return (
            os.path.lexists(self.paths.archived(order_id))
            or os.path.lexists(self.paths.owner(order_id))
            or os.path.lexists(self.paths.response(order_id))
        )

    def _rival(self, order_id: OrderId) -> Rival | None:
        """Who has the id; None when it is free."""
        file_name = order_id + ENDING
        archived = self.paths.archived(order_id)
        waiting = self.paths.order(file_name)
        if not os.path.lexists(waiting) and not self._is_used(order_id):
            return None
        ended = self.archive.read(order_id)
        if ended is not None:
            return Rival(ended.order, archived)
        owner = self.identity.owner(order_id)
        names = [file_name] if owner is None else [owner.name, file_name]
        for name in names:
            # A held order is read under its second name.
            for path in (self.paths.shown(name), self.paths.order(name)):
                found = read_order(path, name)
                if isinstance(found, Found):
                    return Rival(found.order, path)
        return Rival(None, waiting)


def _check_id(order: Order) -> None:
    problem = why_not_an_order_id(order.id)
    if problem is not None:
        raise InvalidOrder(f"Order id {order.id!r} cannot be used: {problem}.")


def _candidates(order: Order) -> Iterator[Order]:
    """The order under its id, then under numbered ones."""
    yield order
    for number in itertools.count(2):
        yield evolve(order, id=numbered(order.id, number))


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
