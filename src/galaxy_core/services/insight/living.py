"""Orders that wait and run, looked at by many, read by one.

Their files are read at each look, so a long queue costs time: what was seen is kept for a second,
or for ten times as long as it took to see.  Where so many wait that only some are looked at, those
are looked at anew each half minute; what runs is always as new as that second.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import define, evolve, field

from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.services.backlog import Backlog, live_orders, look_again
from galaxy_core.services.folders import Folder, age_key
from galaxy_core.services.kept import Kept

FRESH_FOR = timedelta(seconds=1)
_COST_FACTOR = 10
SOME_AGAIN_AFTER = timedelta(seconds=30)


def _fresh_for(seconds: float) -> float:
    return max(FRESH_FOR.total_seconds(), seconds * _COST_FACTOR)


@define(eq=False)
class _Look:
    """A look at one folder, which knows what the last one saw."""

    _catalogue: OrderCatalogue
    _clock: Clock
    _last: Backlog = field(factory=Backlog, init=False)
    _waiting_good_until: float = field(default=float("-inf"), init=False)

    async def __call__(self) -> Backlog:
        """Look, and put what was seen in order."""
        now = self._clock.monotonic()
        if self._last.unseen and now < self._waiting_good_until:
            backlog = await look_again(self._catalogue, self._last)
        else:
            self._waiting_good_until = now + SOME_AGAIN_AFTER.total_seconds()
            backlog = await live_orders(self._catalogue)
        self._last = evolve(backlog, views=sorted(backlog.views, key=_turn))
        return self._last


@define(eq=False)
class LivingOrders:
    """Live orders of folders; any number of tasks may ask."""

    _clock: Clock
    _seen: dict[str, Kept[Backlog]] = field(factory=dict, init=False)

    async def of(self, folder: Folder) -> Backlog:
        """Its live orders: those that run first, then those that wait, in order of their turn.

        Of very many waiting ones only some, as they were up to half a minute ago.
        """
        look = _Look(folder.first.catalogue, self._clock)
        kept = Kept(self._clock, look, keep_for=_fresh_for)
        return await self._seen.setdefault(str(folder.first.layout.repo_path), kept).get()


def _turn(view: OrderView) -> tuple[object, ...]:
    waits = view.state is OrderState.PENDING
    is_put_off = view.waits_until is not None
    return waits, is_put_off, view.place or 1, -view.order.priority, age_key(view)
