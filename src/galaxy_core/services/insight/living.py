"""Orders that wait and run, looked at by many, read by one.

Their files are read at each look, so a long queue costs time: what was seen is kept for a second,
or for ten times as long as it took to see.  Where so many wait that only some are looked at, those
are looked at anew each half minute; what runs is always as new as that second.
"""

from __future__ import annotations

from datetime import timedelta

import anyio
from attrs import define, evolve, field

from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.services.backlog import Backlog, live_orders, look_again
from galaxy_core.services.folders import Folder, age_key

FRESH_FOR = timedelta(seconds=1)
_COST_FACTOR = 10
SOME_AGAIN_AFTER = timedelta(seconds=30)


@define(eq=False)
class _Seen:
    backlog: Backlog = field(factory=Backlog)
    good_until: float = float("-inf")
    waiting_good_until: float = float("-inf")
    turn: anyio.Lock = field(factory=anyio.Lock)


@define(eq=False)
class LivingOrders:
    """Live orders of folders; any number of tasks may ask."""

    _clock: Clock
    _seen: dict[str, _Seen] = field(factory=dict, init=False)

    async def of(self, folder: Folder) -> Backlog:
        """Its live orders: those that run first, then those that wait, in order of their turn.

        Of very many waiting ones only some, as they were up to half a minute ago.
        """
        seen = self._seen.setdefault(str(folder.first.layout.repo_path), _Seen())
        async with seen.turn:
            begun = self._clock.monotonic()
            if begun >= seen.good_until:
                backlog = await self._look(folder.first.catalogue, seen)
                seen.backlog = evolve(backlog, views=sorted(backlog.views, key=_turn))
                now = self._clock.monotonic()
                fresh_for = max(FRESH_FOR.total_seconds(), (now - begun) * _COST_FACTOR)
                seen.good_until = now + fresh_for
            return seen.backlog

    async def _look(self, catalogue: OrderCatalogue, seen: _Seen) -> Backlog:
        now = self._clock.monotonic()
        if seen.backlog.unseen and now < seen.waiting_good_until:
            return await look_again(catalogue, seen.backlog)
        seen.waiting_good_until = now + SOME_AGAIN_AFTER.total_seconds()
        return await live_orders(catalogue)


def _turn(view: OrderView) -> tuple[object, ...]:
    waits = view.state is OrderState.PENDING
    is_put_off = view.waits_until is not None
    return waits, is_put_off, view.place or 1, -view.order.priority, age_key(view)
