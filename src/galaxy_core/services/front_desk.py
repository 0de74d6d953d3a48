"""What programs and pages do with orders, on every machine served here.

Ended orders are listed by the index of the trail: their folder may hold a hundred thousand of
them.  One that ended in the last second may be missing from a list, never from `get` or `wait`.
"""

# ruff: noqa: D102 - the port says what each method is for

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.errors import InvalidOrder
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.domain.operations import Cancellation, OrderView
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import OrderLimits, why_refused
from galaxy_core.domain.state import FINAL, HELD, OrderState
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.front_desk import FoundOrder, FrontDesk
from galaxy_core.ports.trail_index import TrailIndex
from galaxy_core.services.folders import Folder, Folders, age_key
from galaxy_core.services.gateway.config import MachinePorts
from galaxy_core.services.gateway.submitting import submit_on_record
from galaxy_core.services.waiting import wait_for_end

__all__ = ["LocalFrontDesk", "new_order_id"]

LOOKED_AT = 2_000
"""So many ended orders, and so many waiting ones, are looked at for those of one conversation."""
_BATCH = 100


def new_order_id(now: datetime, *, origin: str = "api") -> OrderId:
    """An id for an order that came without one: sorted by time, and not to be guessed."""
    return OrderId(f"{now:%Y%m%d-%H%M%S}-{origin}-{secrets.token_hex(4)}")


async def _nothing() -> None:
    return


@define(kw_only=True, eq=False)
class LocalFrontDesk(FrontDesk):
    """`FrontDesk` over the machines whose folders are here."""

    _machines: Mapping[str, MachinePorts]
    _index: TrailIndex
    _clock: Clock
    _limits: OrderLimits = field(factory=OrderLimits)
    _catch_up: Callable[[], Awaitable[None]] = _nothing
    """Brings the index up to date, if that takes no time."""
    _folders: Folders = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._folders = Folders(self._machines)

    # ---- doing

    async def submit(self, order: Order, *, machine: str | None = None) -> FoundOrder:
        place = self._folders.machine(machine or order.target)
        refusal = why_refused(order, self._limits)
        if refusal is not None:
            raise InvalidOrder(refusal)
        if not order.id:
            order = evolve(order, id=new_order_id(self._clock.now()))
        enqueued = await submit_on_record(place, order)
        view = await place.catalogue.get(enqueued.order_id, only_enqueued=True)
        if view is None:  # it moves from folder to folder at this moment
            view = OrderView(order=evolve(order, id=enqueued.order_id), state=OrderState.PENDING)
        return evolve(await self._found(place, view), is_new=enqueued.is_new)

    async def cancel(self, order_id: OrderId, *, by: str) -> Cancellation:
        place, _ = await self._folders.find(order_id)
        return await place.desk.cancel(order_id, by=by)

    async def retry(self, order_id: OrderId, *, by: str) -> OrderId:
        place, _ = await self._folders.find(order_id)
        return await place.desk.retry(order_id, by=by)

    async def reset_session(self, conversation: ConversationKey, *, machine: str | None) -> bool:
        place = self._folders.machine(machine)
        if not await place.sessions.reset(conversation):
            return False
        await place.trail.record(
            place.trail.event(AuditType.SESSION_RESET, conversation=conversation)
        )
        return True

    # ---- looking

    async def get(self, order_id: OrderId) -> FoundOrder:
        return await self._found(*await self._folders.find(order_id))

    async def wait(self, order_id: OrderId, patience: timedelta) -> FoundOrder:
        place, view = await self._folders.find(order_id)
        if not view.state.is_final:
            view = await wait_for_end(place.catalogue, self._clock, order_id, patience=patience)
        return await self._found(place, view)

    async def list(
        self,
        *,
        machine: str | None = None,
        states: frozenset[OrderState] | None = None,
        conversation: ConversationKey | None = None,
        limit: int = 50,
    ) -> Sequence[FoundOrder]:
        only = None if machine is None else self._folders.machine(machine)
        wanted = frozenset(OrderState) if states is None else states
        is_wanted = _Wanted(only, wanted, conversation)
        await self._catch_up()
        found: dict[OrderId, FoundOrder] = {}
        for folder in self._folders.all:
            if only is not None and only not in folder.machines:
                continue
            # Those that live first: one that ends in between is then seen twice, not never.
            for item in await self._live(folder, wanted - FINAL, is_wanted, limit):
                found[item.view.order.id] = item
            for item in await self._ended(folder, wanted & FINAL, is_wanted, limit):
                found[item.view.order.id] = item
        newest = sorted(found.values(), key=lambda item: age_key(item.view), reverse=True)
        return newest[:limit]

    async def _live(
        self, folder: Folder, states: frozenset[OrderState], is_wanted: _Wanted, limit: int
    ) -> Sequence[FoundOrder]:
        if not states:
            return []
        catalogue = folder.first.catalogue
        most = LOOKED_AT if is_wanted.is_choosy else limit
        views = {v.order.id: v for v in await catalogue.list(states=states, limit=most)}
        if is_wanted.is_choosy and len(views) == most:
            # Those that run came before the many that wait.
            held = await catalogue.list(states=states & HELD, limit=None)
            views |= {view.order.id: view for view in held}
        return [item for item in _items(folder, list(views.values())) if is_wanted(item)][:limit]

    async def _ended(
        self, folder: Folder, states: frozenset[OrderState], is_wanted: _Wanted, limit: int
    ) -> Sequence[FoundOrder]:
        if not states:
            return []
        names = frozenset(machine.name for machine in folder.machines)
        found: list[FoundOrder] = []
        for skip in range(0, LOOKED_AT, _BATCH):
            ids = await self._index.ended(machines=names, states=states, limit=_BATCH, skip=skip)
            for order_id in ids:
                view = await folder.first.catalogue.get(order_id)
                # None: somebody tidied the archive up.
                found += [i for i in _items(folder, [view] if view else []) if is_wanted(i)]
                if len(found) >= limit:
                    return found
            if len(ids) < _BATCH:
                break
        earlier = (await self._index.totals()).earlier
        if any(name in names and state in states for name, state in earlier):
            # Older ones stand in no trail: only their folder tells of them.
            most = LOOKED_AT if is_wanted.is_choosy else limit
            views = await folder.first.catalogue.list(states=states, limit=most)
            return [item for item in _items(folder, views) if is_wanted(item)][:limit]
        return found

    async def _found(self, place: MachinePorts, view: OrderView) -> FoundOrder:
        is_over = view.state.is_final
        response = await place.responses.get(view.order.id) if is_over else None
        return FoundOrder(machine=place.name, view=view, response=response)


@define
class _Wanted:
    """Tells which orders a list is to hold."""

    _only: MachinePorts | None
    _states: frozenset[OrderState]
    _conversation: ConversationKey | None

    @property
    def is_choosy(self) -> bool:
        """Whether orders in the right states may be unwanted."""
        return self._conversation is not None or self._only is not None

    def __call__(self, item: FoundOrder) -> bool:
        order = item.view.order
        return (
            item.view.state in self._states
            and (self._only is None or item.machine == self._only.name)
            and self._conversation in {None, order.conversation(item.machine)}
        )


def _items(folder: Folder, views: Sequence[OrderView]) -> list[FoundOrder]:
    return [FoundOrder(machine=folder.owner_of(v.order).name, view=v) for v in views]
