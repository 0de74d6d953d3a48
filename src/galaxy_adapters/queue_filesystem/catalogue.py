"""All orders of a machine's folder, for people: made from the files at each call.

Needs no worker and disturbs none: it takes nothing and writes nothing but wishes and retries.
An order that moves on while it is looked for is looked for once more.
"""

from __future__ import annotations

import contextlib
import heapq
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.to_thread
from attrs import evolve

from galaxy_adapters._files import make_durable_folder, storage_errors, sync_directory
from galaxy_adapters.queue_filesystem._archive import SOURCE_KEY, Archive
from galaxy_adapters.queue_filesystem._dead_letters import NO_ORDER
from galaxy_adapters.queue_filesystem._identity import Identity
from galaxy_adapters.queue_filesystem._looking import Found, Looking
from galaxy_adapters.queue_filesystem._paths import QueuePaths, is_order_name, stem_of
from galaxy_adapters.queue_filesystem._reader import MAX_FILE_BYTES, time_of
from galaxy_core.domain.errors import OrderNotDismissable, OrderNotFound, OrderNotRetryable
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.domain.operations import CancelRequested, OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import FINAL, HELD, OrderState
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import CancelResult, OrderCatalogue
from galaxy_core.wire.layout import Layout

if TYPE_CHECKING:
    from galaxy_adapters.queue_filesystem._accept import Acceptance

_NOT_INHERITED = frozenset(
    {
        *("order_id", "idempotency_key", "not_before", "scheduled_for", "expires_at"),
        SOURCE_KEY,
    }
)
PIECE = 500
"""Waiting orders that are read at once where all are."""
_LOOKS = 3
"""So often an order is looked for that may be moving from one place to the next."""


class FilesystemOrderCatalogue(OrderCatalogue):
    """Orders that wait, run and have ended in one machine's folder.

    Wishes to cancel go to `control`, where whoever holds or claims the order hears of them.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        machine: str,
        clock: Clock,
        control: Control,
        max_file_bytes: int = MAX_FILE_BYTES,
    ) -> None:
        self._clock = clock
        self._control = control
        self._paths = QueuePaths(layout)
        self._archive = Archive(self._paths)
        self._identity = Identity(self._paths, self._archive)
        self._looking = Looking(self._paths, self._identity, machine, clock, max_file_bytes)

    async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        return await anyio.to_thread.run_sync(
            partial(self._get, order_id, only_enqueued=only_enqueued)
        )

    async def list(
        self,
        *,
        states: frozenset[OrderState] | None = None,
        limit: int | None = 50,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        look = partial(self._list, states, limit, oldest_first=oldest_first)
        return await anyio.to_thread.run_sync(look)

    async def unfinished(self) -> AsyncIterator[Sequence[OrderView]]:
        seen: set[str] = set()
        taken: set[OrderId] = set()
        held: set[OrderId] = set()
        # Twice: one that was held when its file was to be listed or read, and was given back before
        # those that are held were looked at, waits at the second look.
        for _ in range(2):
            listed = await anyio.to_thread.run_sync(self._names_by_age)
            names = [name for name in listed if name not in seen]
            for start in range(0, len(names), PIECE):
                piece = names[start : start + PIECE]
                found = await anyio.to_thread.run_sync(self._read_waiting, piece, taken)
                seen.update(found)
                yield list(found.values())
            views = await anyio.to_thread.run_sync(self._list, HELD, None)
            yield [view for view in views if view.order.id not in held]
            held.update(view.order.id for view in views)

    async def count(self, *, states: frozenset[OrderState] | None = None) -> dict[OrderState, int]:
        return await anyio.to_thread.run_sync(self._count, states or frozenset(OrderState))

    async def cancel(self, order_id: OrderId, *, by: str = "", reason: str = "") -> CancelResult:
        view = await self.get(order_id)
        if view is None:
            raise _not_found(order_id)
        if view.ending is not None:
            return CancelResult.ALREADY_ENDED
        await self._control.send(
            CancelRequested(order_id=order_id, at=self._clock.now(), by=by, reason=reason)
        )
        return CancelResult.REQUESTED

    async def retry(self, order_id: OrderId) -> OrderId:
        return await anyio.to_thread.run_sync(self._retry, order_id)

    async def dismiss(self, order_id: OrderId) -> bool:
        return await anyio.to_thread.run_sync(self._dismiss, order_id)

    @cached_property
    def _acceptance(self) -> Acceptance:
        from galaxy_adapters.queue_filesystem._accept import Acceptance  # noqa: PLC0415 - retry only

        return Acceptance(self._paths, self._clock, self._archive, self._identity)

    # ---- reading

    def _get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
        if why_not_an_order_id(order_id) is not None:
            return None
        with storage_errors("read orders in", self._paths.orders):
            before = self._looking.moment()
            for _ in range(_LOOKS):
                view = self._find(order_id)
                if view is not None:
                    return view
                last, before = before, self._looking.moment()
                if before == last:
                    break
            if only_enqueued:
                return None
            view = self._looking.search(order_id)
            if view is None and self._looking.moment() != before:
                view = self._find(order_id)
            return view

    def _find(self, order_id: OrderId) -> OrderView | None:
        """The order, where its id says where to look."""
        return (
            self._ended(order_id) or self._looking.held(order_id) or self._looking.waiting(order_id)
        )

    def _names_by_age(self) -> Sequence[str]:
        with storage_errors("read orders in", self._paths.orders):
            return self._looking.names_by_age()

    def _read_waiting(self, names: Sequence[str], taken: set[OrderId]) -> dict[str, OrderView]:
        with storage_errors("read orders in", self._paths.orders):
            return self._looking.read_waiting(names, taken)

    def _list(
        self,
        states: frozenset[OrderState] | None,
        limit: int | None,
        *,
        oldest_first: bool = False,
    ) -> Sequence[OrderView]:
        wanted = frozenset(OrderState) if states is None else states
        found: list[Found] = []
        with storage_errors("read orders in", self._paths.orders):
            # In the order in which they move, so that none is missed; one seen twice has ended.
            if OrderState.PENDING in wanted:
                found += self._looking.all_waiting(limit, oldest_first=oldest_first)
            if not wanted.isdisjoint(HELD):
                found += [f for f in self._looking.all_held() if f.view.state in wanted]
            if not wanted.isdisjoint(FINAL):
                found += self._all_ended(wanted, limit, oldest_first=oldest_first)
        by_id = {item.view.order.id: item for item in found}
        in_order = sorted(by_id.values(), key=lambda item: item.at, reverse=not oldest_first)
        return [item.view for item in in_order[:limit]]

    def _count(self, wanted: frozenset[OrderState]) -> dict[OrderState, int]:
        counts: Counter[OrderState] = Counter()
        with storage_errors("read orders in", self._paths.orders):
            counts[OrderState.PENDING] = self._looking.count_waiting()
            if not wanted.isdisjoint(HELD):
                counts.update(item.view.state for item in self._looking.all_held())
            if not wanted.isdisjoint(FINAL):
                for outcome, number in self._archive.tally().items():
                    counts[outcome.state] += number
        return {state: number for state, number in counts.items() if number and state in wanted}

    def _ended(self, order_id: OrderId) -> OrderView | None:
        archived = self._archive.read(order_id)
        if archived is None:
            return None
        ending, source = archived.ending, archived.source
        is_dead = ending is not None and ending.outcome is Outcome.DEAD
        return OrderView(
            order=archived.order,
            # An archive that says nothing of an end is the original system's: it was answered.
            state=ending.outcome.state if ending is not None else OrderState.SUCCEEDED,
            attempts=archived.claims or (ending.attempts if ending is not None else 1),
            received_at=time_of(source.modified_ns) if source is not None else None,
            ending=ending,
            is_decided=is_dead and self._archive.dead.is_decided(order_id),
        )

    def _all_ended(
        self, wanted: frozenset[OrderState], limit: int | None, *, oldest_first: bool
    ) -> Sequence[Found]:
        """The first ended orders in the wanted states: reads no more files than it must."""
        ages: list[tuple[int, str]] = []
        # No archive: no order has ended yet.
        with contextlib.suppress(FileNotFoundError), os.scandir(self._paths.archive) as entries:
            ages = [
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.name)
                for entry in entries
                if is_order_name(entry.name)
            ]
        if wanted >= FINAL and limit is not None:
            ages = (heapq.nsmallest if oldest_first else heapq.nlargest)(limit, ages)
        else:
            ages.sort(reverse=not oldest_first)
        found: list[Found] = []
        for at, name in ages:
            if limit is not None and len(found) >= limit:
                break
            with contextlib.suppress(*NO_ORDER):
                if not wanted >= FINAL and self._archive.glance(name).state not in wanted:
                    continue
                view = self._ended(OrderId(stem_of(name)))
                if view is not None and view.state in wanted:
                    found.append(Found(at, view))
        return found

    # ---- deciding on what was given up

    def _dismiss(self, order_id: OrderId) -> bool:
        view = self._get(order_id)
        if view is None:
            raise _not_found(order_id)
        if view.state is not OrderState.DEAD:
            raise OrderNotDismissable(
                f"Order {order_id} was not given up (it is {view.state.value}), so nobody waits"
                " for a decision on it."
            )
        with storage_errors("dismiss an order in", self._paths.orders):
            return self._archive.dead.dismiss(order_id)

    def _retry(self, order_id: OrderId) -> OrderId:
        view = self._get(order_id)
        if view is None:
            raise _not_found(order_id)
        if not view.state.is_final:
            raise OrderNotRetryable(f"Order {order_id} has not ended yet; cancel it first.")
        if view.ending is None or view.ending.outcome is Outcome.SUCCEEDED:
            raise OrderNotRetryable(
                f"Order {order_id} has succeeded; to have it done again, submit it anew."
            )
        with storage_errors("store an order in", self._paths.orders):
            return self._store_successor(view.order)

    def _store_successor(self, order: Order) -> OrderId:
        """Enqueue it again under the id that is written down first, so that it is done once.

        A crash in between leaves the id without its order; the next call stores it.
        """
        make_durable_folder(Path(self._paths.successors))
        link = self._paths.successor(order.id)
        while True:
            try:
                successor = OrderId(os.readlink(link))
                break
            except FileNotFoundError:
                pass
            try:
                os.symlink(self._acceptance.free_id(order.id), link)
            except FileExistsError:
                continue  # somebody else retries it at this moment
        sync_directory(Path(self._paths.successors))
        # What bound the old order to its time and to its sender's one message is over.
        again = evolve(
            order,
            id=successor,
            idempotency_key=None,
            not_before=None,
            expires_at=None,
            wire={k: v for k, v in order.wire.items() if k not in _NOT_INHERITED},
        )
        if not self._acceptance.is_known(successor):
            accepted = self._acceptance.accept(again, self._acceptance.next_arrival())
            if accepted.enqueued.order_id != successor:  # another order took the id just now
                os.unlink(link)
                os.symlink(accepted.enqueued.order_id, link)
                sync_directory(Path(self._paths.successors))
                return accepted.enqueued.order_id
        return successor


def _not_found(order_id: OrderId) -> OrderNotFound:
    return OrderNotFound(f"No order {order_id!r} waits, runs or has ended here.")
