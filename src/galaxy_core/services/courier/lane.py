"""One chat's way out: letters, oldest first; then the newest state of each card; then hints.

Nothing in here is durable: letters lie in their outbox, cards and holds in notes.  Cards and hints
leave one token of the chat's burst to letters, so that an answer is never held back by the status
before it.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable

import anyio
import structlog
from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_core.domain.errors import GalaxyError, TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Draft, Hint
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.services._concurrency import wait_for_event
from galaxy_core.services.courier.cards import CardDesk, CardEntry
from galaxy_core.services.courier.letters import LetterDesk
from galaxy_core.services.courier.mailing import Parcel
from galaxy_core.services.courier.pacing import Bucket, Chat, Holds, Pace, pause
from galaxy_core.services.courier.steps import Steps

log = structlog.get_logger(__name__)


class Rank(enum.IntEnum):
    """What a chat waits for, most urgent first."""

    LETTER = 0
    CARD = 1
    HINT = 2
    NOTHING = 3


@define(eq=False)
class LaneTools:
    """What all lanes of a channel share."""

    channel: Channel
    pace: Pace
    clock: Clock
    holds: Holds
    letters: LetterDesk
    cards: CardDesk
    steps: Steps
    hint_lifetime: float
    """Seconds."""
    on_through: Callable[[Parcel], None]
    """Told of each parcel that needs no more."""


@define(eq=False)
class Lane:
    """What one chat is about to be sent.  Whoever puts something in wakes it (`ring`)."""

    chat: Chat
    _tools: LaneTools
    _bucket: Bucket
    is_running: bool = field(default=False, init=False)
    """Whether a task drives it."""
    _letters: deque[Parcel] = field(factory=deque, init=False)
    _cards: dict[str, CardEntry] = field(factory=dict, init=False)
    """Those with something to do; who was served goes to the end."""
    _hints: dict[tuple[type[Hint], OrderId | None], tuple[float, Hint, Address]] = field(
        factory=dict, init=False
    )
    """The newest of each sort, and when it came."""
    _bell: anyio.Event = field(factory=anyio.Event, init=False)

    # ---- putting in

    def add_letter(self, parcel: Parcel) -> None:
        """Deliver a letter after those that are here."""
        order_id = parcel.letter.order_id
        if order_id is not None:  # nobody wants to see an answer's draft after the answer
            self._hints.pop((Draft, OrderId(order_id)), None)
        self._letters.append(parcel)
        self.ring()

    def add_card(self, entry: CardEntry) -> None:
        """Show the newest state of a card."""
        self._cards[entry.key] = entry
        self.ring()

    def add_hint(self, hint: Hint, address: Address) -> None:
        """Give a hint, if there is time for it soon."""
        order_id = hint.order_id if isinstance(hint, Draft) else None
        if self._tools.holds.left(self.chat) > self._tools.hint_lifetime:
            return
        if order_id is not None and any(p.letter.order_id == order_id for p in self._letters):
            return
        self._hints[type(hint), order_id] = (self._tools.clock.monotonic(), hint, address)
        self.ring()

    def ring(self) -> None:
        """Look again what there is to do."""
        self._bell.set()

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do, now or later."""
        return not (self._letters or self._cards or self._hints)

    # ---- driving

    async def run(self) -> None:
        """Work until there is nothing left to do.  The caller cleared the way: one task a lane."""
        clock, gate = self._tools.clock, self._tools.pace.gate
        while True:
            await checkpoint()
            self._bell = anyio.Event()
            self._drop_old_hints()
            if self.is_idle:
                return
            rank = self.rank()
            seconds = self._wait_until_due() if rank is Rank.NOTHING else self._wait(rank)
            if seconds:
                await wait_for_event(self._bell, clock, pause(seconds))
                continue
            if gate is not None and self._needs_token(rank):
                await gate.enter(self.rank)
            with self._tools.steps.uncut():
                await self._go()

    def rank(self) -> Rank:
        """The most urgent thing that may be done now, paces apart."""
        letter = self._next_letter()
        if letter is not None and letter.due <= self._tools.clock.monotonic():
            return Rank.LETTER
        if self._due_card() is not None:
            return Rank.CARD
        return Rank.HINT if self._hints else Rank.NOTHING

    def _next_letter(self) -> Parcel | None:
        """The letter whose turn it is: the oldest but for those that give way."""
        now = self._tools.clock.monotonic()
        for parcel in self._letters:
            if parcel.due <= now or not parcel.gives_way:
                return parcel
        return min(self._letters, key=lambda parcel: parcel.due, default=None)

    def _due_card(self) -> CardEntry | None:
        now = self._tools.clock.monotonic()
        return next((entry for entry in self._cards.values() if entry.due <= now), None)

    def _wait_until_due(self) -> float:
        """Seconds until something that was put off may be tried."""
        dues = [entry.due for entry in self._cards.values()]
        letter = self._next_letter()
        dues += [p.due for p in self._letters if p is letter or p.gives_way]
        return max(min(dues, default=math.inf) - self._tools.clock.monotonic(), 0.0)

    def _wait(self, rank: Rank) -> float:
        """Seconds until the chat may be written to."""
        if not self._needs_token(rank):
            return 0.0
        reserve = 0 if rank is Rank.LETTER else 1
        return max(self._tools.holds.left(self.chat), self._bucket.wait(reserve))

    def _needs_token(self, rank: Rank) -> bool:
        """Whether the channel has to be called: a card may only have to be forgotten."""
        if rank is not Rank.CARD:
            return True
        entry = self._due_card()
        return entry is not None and entry.needs_call

    def _drop_old_hints(self) -> None:
        oldest = self._tools.clock.monotonic() - self._tools.hint_lifetime
        for key, (came_at, _, _) in list(self._hints.items()):
            if came_at < oldest:
                del self._hints[key]

    async def _go(self) -> None:
        """Do the most urgent thing, which need not be what was waited for."""
        self._drop_old_hints()
        rank = self.rank()
        if rank is Rank.NOTHING or self._wait(rank):
            return
        if self._needs_token(rank):
            self._bucket.take()
        letter = self._next_letter()
        if rank is Rank.LETTER and letter is not None:
            await self._deliver(letter)
        elif rank is Rank.CARD:
            await self._show()
        else:
            await self._give_hint()

    async def _deliver(self, parcel: Parcel) -> None:
        known = parcel.letter.receipts
        is_through = await self._tools.letters.advance(parcel)
        new = [
            receipt
            for receipt in parcel.letter.receipts[len(known) :]
            if (receipt.channel, receipt.chat_id) == self.chat
        ]
        if new:
            self._got_through(parcel)
        elif parcel.failing_since is not None:
            self._failed(parcel)
        # An album is one call and many messages: they count.
        more = sum(len(receipt.message_ids) - 1 for receipt in new)
        if more > 0:
            self._bucket.take(more)
            if self._tools.pace.gate is not None:
                self._tools.pace.gate.charge(more)
        if is_through:
            self._letters.remove(parcel)
            self._tools.on_through(parcel)

    def _failed(self, parcel: Parcel) -> None:
        """See that letters keep their order, should all of them be waiting for the channel."""
        stuck = self._stuck()
        if parcel.is_stuck:  # it is tried right after the first one, or not at all
            parcel.due = max(parcel.due, stuck[0].due)
        else:
            for each in stuck:
                each.gives_way = False

    def _got_through(self, parcel: Parcel | None = None) -> None:
        """The chat can be reached: what is stuck is stuck by its own fault."""
        for stuck in self._stuck():
            stuck.is_overtaken = stuck is not parcel

    def _stuck(self) -> list[Parcel]:
        return [parcel for parcel in self._letters if parcel.is_stuck]

    async def _show(self) -> None:
        entry = self._due_card()
        if entry is None:
            return
        del self._cards[entry.key]
        shown = entry.shown
        try:
            await self._tools.cards.advance(entry, self._tools.channel, self._tools.pace)
        finally:
            if entry.shown is not shown:
                self._got_through()
            if entry.is_waiting:
                self._cards[entry.key] = entry

    async def _give_hint(self) -> None:
        key, (_, hint, address) = next(iter(self._hints.items()))
        del self._hints[key]
        try:
            await self._tools.channel.hint(hint, address)
        except TransientError as error:
            log.debug("hint.failed", channel=self.chat[0], error=str(error))
            if error.retry_after is not None:
                await self._tools.holds.hold(self.chat, error.retry_after)
        except GalaxyError as error:
            log.debug("hint.refused", channel=self.chat[0], error=str(error))
        except Exception:
            # Supervision point: a hint is not worth a letter.
            log.exception("channel.crashed", channel=self.chat[0])
