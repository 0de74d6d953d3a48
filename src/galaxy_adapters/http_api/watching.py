"""Orders that wait and run, for any number of watchers: read once, however many look."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta

import anyio
from attrs import define, field

from galaxy_adapters._web.events import ServerEvent
from galaxy_adapters._web.problems import problem_of
from galaxy_adapters.http_api.documents.orders import OrderDocument
from galaxy_adapters.http_api.documents.progress import ProgressDocument, TextDocument
from galaxy_adapters.http_api.schema import to_document
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.domain.insight import LiveOrder
from galaxy_core.domain.order import JSONValue
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder, FrontDesk, Insight

__all__ = ["LiveOrders", "order_events"]

LOOK_EVERY = timedelta(seconds=0.5)


@define(eq=False)
class LiveOrders:
    """What lives now, at most half a second old.

    No task of its own: whoever asks first after that time reads for all.
    """

    _insight: Insight
    _every: timedelta
    _known: Mapping[str, LiveOrder] = field(factory=dict, init=False)
    _read_at: float = field(default=float("-inf"), init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    async def get(self, order_id: str) -> LiveOrder | None:
        """The order as it waits or runs; None when it does neither (any more)."""
        async with self._turn:
            if anyio.current_time() - self._read_at >= self._every.total_seconds():
                live = await self._insight.live()
                self._known = {item.view.order.id: item for item in live}
                self._read_at = anyio.current_time()
        return self._known.get(order_id)

    async def pause(self) -> None:
        """Wait until there may be something new."""
        await anyio.sleep(self._every.total_seconds())


@define
class _Seen:
    """What one watcher knows."""

    characters: int
    text: str | None = None
    """None: what a watcher that came back knows is known by its length alone."""
    progress: dict[str, object] | None = None

    def news(self, item: LiveOrder) -> list[ServerEvent]:
        events = []
        document = to_document(ProgressDocument.of(item.view.state, item.progress))
        if document != self.progress:
            events.append(ServerEvent.of("progress", document))
            self.progress = document
        text = item.progress.text if item.progress else ""
        if self.text is None:
            offset = min(self.characters, len(text))
        else:
            offset = len(self.text) if text.startswith(self.text) else _same(self.text, text)
        if text != self.text and (offset < len(text) or self.text):
            piece = TextDocument(offset=offset, text=text[offset:])
            events.append(ServerEvent.of("text", to_document(piece), number=len(text)))
        self.text = text
        return events


def _same(old: str, new: str) -> int:
    """How many characters both begin with."""
    pairs = zip(old, new, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))


def _waiting(found: FoundOrder) -> LiveOrder:
    return LiveOrder(machine=found.machine, view=found.view)


async def order_events(
    found: FoundOrder, desk: FrontDesk, live: LiveOrders, *, seen: int = 0
) -> AsyncIterator[Sequence[ServerEvent]]:
    """Look again and again until the order has ended; its end is the last event.

    `seen` is the number of the last event that this watcher had before: characters of the text.
    """
    watcher = _Seen(seen)
    order_id = found.view.order.id
    try:
        while not found.view.state.is_final:
            item = await live.get(order_id)
            if item is None or not item.is_fresh:
                # It ends, or moves from folder to folder at this moment; or it is one of very many.
                found = await desk.get(order_id)
                if found.view.state.is_final:
                    break
                is_waiting = found.view.state is OrderState.PENDING
                yield watcher.news(_waiting(found)) if is_waiting else []
            else:
                yield watcher.news(item)
            await live.pause()
        yield [ServerEvent.of("ended", to_document(OrderDocument.of(found)))]
    except GalaxyError as error:
        # The stream has begun: what cannot be a status any more is an event.
        problem = problem_of(error)
        content: dict[str, JSONValue] = {
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
        }
        yield [ServerEvent.of("problem", content)]
