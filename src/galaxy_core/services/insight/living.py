"""Orders that wait and run, looked at by many, read by one.

Their files are read at each look, so a long queue costs time: what was seen is kept for a second,
or for ten times as long as it took to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import anyio
from attrs import define, field

from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.ports.clock import Clock
from galaxy_core.services.folders import Folder, age_key

FRESH_FOR = timedelta(seconds=1)
_COST_FACTOR = 10
LIVE = frozenset(OrderState) - FINAL


@define(eq=False)
class _Seen:
    views: Sequence[OrderView] = ()
    good_until: float = float("-inf")
    turn: anyio.Lock = field(factory=anyio.Lock)


@define(eq=False)
class LivingOrders:
    """Live orders of folders; any number of tasks may ask."""

    _clock: Clock
    _seen: dict[str, _Seen] = field(factory=dict, init=False)

    async def of(self, folder: Folder) -> Sequence[OrderView]:
        """Its live orders: those that run first, then those that wait, in order of their turn."""
        seen = self._seen.setdefault(str(folder.first.layout.repo_path), _Seen())
        async with seen.turn:
            begun = self._clock.monotonic()
            if begun >= seen.good_until:
                views = await folder.first.catalogue.list(states=LIVE, limit=None)
                seen.views = sorted(views, key=_turn)
                now = self._clock.monotonic()
                fresh_for = max(FRESH_FOR.total_seconds(), (now - begun) * _COST_FACTOR)
                seen.good_until = now + fresh_for
            return seen.views


def _turn(view: OrderView) -> tuple[object, ...]:
    waits = view.state is OrderState.PENDING
    is_put_off = view.waits_until is not None
    return waits, is_put_off, view.place or 1, -view.order.priority, age_key(view)
