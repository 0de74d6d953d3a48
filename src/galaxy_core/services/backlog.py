"""Orders that wait and run, for looks that are made again and again.

Up to `ALL_UP_TO` waiting orders are all looked at; of more, `SOME`, and the others are counted: so
a look reads a bounded number of files, however many wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import frozen

from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.state import HELD, LIVE, WAITING, OrderState
from galaxy_core.ports.order_catalogue import OrderCatalogue

ALL_UP_TO = 2_000
SOME = 500


@frozen
class Backlog:
    """What a look has seen."""

    views: Sequence[OrderView] = ()
    """All that run, and those of the waiting ones that were looked at."""
    unseen: int = 0
    """Waiting orders that were only counted."""

    @property
    def held(self) -> list[OrderView]:
        """Those that somebody has claimed."""
        return [view for view in self.views if view.state is not OrderState.PENDING]

    @property
    def waiting(self) -> list[OrderView]:
        """Those that wait and were looked at."""
        return [view for view in self.views if view.state is OrderState.PENDING]

    @property
    def number_waiting(self) -> int:
        """How many wait, looked at or not."""
        return len(self.waiting) + self.unseen


async def live_orders(catalogue: OrderCatalogue, *, newest: bool = False) -> Backlog:
    """All orders that run, and all that wait or, of very many, some.

    Those are the oldest, and where all of them wait for a time to come, the newest as well; with
    `newest`, the newest alone.  All is newest first; some are in the order that they were asked in.
    """
    number = await _count(catalogue)
    if number <= ALL_UP_TO:
        return Backlog(await catalogue.list(states=LIVE, limit=2 * ALL_UP_TO))
    return await look_again(catalogue, await _some(catalogue, number, newest=newest))


async def waiting_backlog(catalogue: OrderCatalogue) -> Backlog:
    """The same without those that run."""
    number = await _count(catalogue)
    if number <= ALL_UP_TO:
        return Backlog(await catalogue.list(states=WAITING, limit=2 * ALL_UP_TO))
    return await _some(catalogue, number, newest=False)


async def look_again(catalogue: OrderCatalogue, seen: Backlog) -> Backlog:
    """What runs now, and what waited when it was seen, but for what has begun since."""
    held = await catalogue.list(states=HELD, limit=None)
    return Backlog(_once(seen.waiting, held), seen.unseen)


async def _count(catalogue: OrderCatalogue) -> int:
    return (await catalogue.count(states=WAITING)).get(OrderState.PENDING, 0)


async def _some(catalogue: OrderCatalogue, number: int, *, newest: bool) -> Backlog:
    views = await catalogue.list(states=WAITING, limit=SOME, oldest_first=not newest)
    if not newest and all(view.waits_until is not None for view in views):
        views = _once(views, await catalogue.list(states=WAITING, limit=SOME))
    return Backlog(views, max(0, number - len(views)))


def _once(*lists: Iterable[OrderView]) -> list[OrderView]:
    """Each order as it was seen last."""
    return list({view.order.id: view for views in lists for view in views}.values())
