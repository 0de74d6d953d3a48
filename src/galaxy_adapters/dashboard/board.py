"""Pages in pieces that change by themselves, looked at once for all who watch.

A piece is rendered when somebody asks and the last rendering is older than its kind may be; a
watcher is sent those whose content differs from what it was sent last.  Nothing runs while nobody
watches.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from hashlib import blake2b

import anyio
from attrs import define, field, frozen

from galaxy_adapters._web import ServerEvent

__all__ = ["LOOK_EVERY", "Board", "Piece", "Renderer", "watch"]

LOOK_EVERY = timedelta(seconds=1)
_MOST_KEPT = 64
"""Renderings of pages that are remembered: the one not asked for longest goes."""
# The script keeps these going by itself: that they have changed is no news.
_TICKING = re.compile(r"(<time\b[^>]*\bdata-(?:ago|since)[^>]*>)[^<]*")


@frozen
class Piece:
    """One element of a page, by its id."""

    name: str
    html: str
    mark: str
    """Two renderings that show the same have the same."""

    @classmethod
    def of(cls, name: str, html: str) -> Piece:
        """Mark it."""
        still = _TICKING.sub(r"\1", html).encode("utf-8", "replace")
        return cls(name, html, blake2b(still, digest_size=12).hexdigest())

    def event(self) -> ServerEvent:
        """What a watcher is sent."""
        return ServerEvent.of("piece", {"id": self.name, "html": self.html})


Renderer = Callable[[], Awaitable[Sequence[Piece]]]


@define(eq=False)
class _Rendering:
    pieces: Sequence[Piece] = ()
    good_until: float = float("-inf")
    turn: anyio.Lock = field(factory=anyio.Lock)


@define(eq=False)
class Board:
    """Renderings that are shared."""

    _kept: OrderedDict[str, _Rendering] = field(factory=OrderedDict, init=False)

    async def get(self, key: str, fresh_for: timedelta, render: Renderer) -> Sequence[Piece]:
        """The pieces under that key: those rendered lately, or rendered now."""
        rendering = self._kept.setdefault(key, _Rendering())
        self._kept.move_to_end(key)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        async with rendering.turn:
            if anyio.current_time() >= rendering.good_until:
                begun = anyio.current_time()
                rendering.pieces = await render()
                now = anyio.current_time()
                # What takes long to look at is looked at less often.
                rendering.good_until = now + max(fresh_for.total_seconds(), 10 * (now - begun))
            return rendering.pieces

    def forget(self, key: str | None = None) -> None:
        """Look anew when next asked (None: at everything): something was done just now."""
        for name, rendering in self._kept.items():
            if key in {None, name}:
                rendering.good_until = float("-inf")


async def watch(
    look: Callable[[], Awaitable[Sequence[Piece]]], every: timedelta
) -> AsyncIterator[Sequence[ServerEvent]]:
    """Look again and again; yield what has changed since the last look.

    The first look yields everything: the page may have been loaded a while ago.
    """
    sent: Mapping[str, str] = {}
    while True:
        pieces = await look()
        yield [piece.event() for piece in pieces if sent.get(piece.name) != piece.mark]
        sent = {piece.name: piece.mark for piece in pieces}
        await anyio.sleep(every.total_seconds())
