"""Waiting for an order's end, from outside of Hermes."""

from __future__ import annotations

from datetime import timedelta

from galaxy_core.domain.errors import OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import OrderView
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.order_catalogue import OrderCatalogue

LOOK_FIRST = timedelta(milliseconds=50)
LOOK_CEILING = timedelta(milliseconds=500)
"""Pauses between two looks: they double from the first up to here."""


async def wait_for_end(
    catalogue: OrderCatalogue,
    clock: Clock,
    order_id: OrderId,
    *,
    patience: timedelta | None = None,
) -> OrderView:
    """Wait until the order has ended, at most `patience`; the order as it then stands.

    Raises `OrderNotFound`.
    """
    deadline = None if patience is None else clock.monotonic() + patience.total_seconds()
    pause = LOOK_FIRST
    seen: OrderView | None = None
    while True:
        # An order that just moves from folder to folder may be missed by a look.
        seen = await catalogue.get(order_id) or seen
        if seen is None:
            raise OrderNotFound(f"There is no order {order_id!r}.")
        if seen.state.is_final:
            return seen
        if deadline is not None:
            left = deadline - clock.monotonic()
            if left <= 0:
                return seen
            pause = min(pause, timedelta(seconds=left))
        await clock.sleep(pause)
        pause = min(pause * 2, LOOK_CEILING)
