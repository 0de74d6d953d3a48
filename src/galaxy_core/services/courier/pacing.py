"""How often people's chats may be written to.

Buckets live in memory.  That a channel asked us to wait is written down (note `hold`), since a
restart must not begin the flood again; it is kept as a moment of the time of day, and never taken
for longer than it was asked for, should somebody have set the clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeAlias

import anyio
import structlog
from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Rate, Rates
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import Note, NoteStore

log = structlog.get_logger(__name__)

HOLD = "hold"
_TICK = 1e-6
"""Seconds: nothing shorter is waited for, and waits are rounded up to it."""

Chat: TypeAlias = tuple[str, str]
"""Channel and chat id: what a rate is for, whatever the topic."""


def chat_of(address: Address) -> Chat:
    """The chat of an address."""
    return address.channel, address.chat_id


def pause(seconds: float) -> timedelta:
    """A time to sleep, rounded up: who woke too early by a rounding would spin."""
    return timedelta(seconds=seconds) + timedelta(microseconds=1)


@define(eq=False)
class Bucket:
    """Tokens that come back one every `rate.every`, at most `rate.burst`."""

    _rate: Rate | None
    """None: never empty."""
    _clock: Clock
    _full_at: float = field(default=0.0, init=False)
    """When all tokens taken so far will have come back."""

    def wait(self, reserve: int = 0) -> float:
        """Seconds until a token may be taken that leaves `reserve` others; 0 for now."""
        if self._rate is None:
            return 0.0
        # Nobody could ever leave more than a full bucket has beside the one that is taken.
        spare = max(self._rate.burst - 1 - reserve, 0)
        seconds = self._full_at - self._clock.monotonic()
        seconds -= spare * self._rate.every.total_seconds()
        return seconds if seconds > _TICK else 0.0

    def take(self, count: int = 1) -> None:
        """Take tokens, also some that are not there: what was sent was sent."""
        if self._rate is not None:
            start = max(self._full_at, self._clock.monotonic())
            self._full_at = start + count * self._rate.every.total_seconds()


@define(eq=False)
class _Claim:
    """A lane that waits for one of the tokens that all chats share."""

    rank: Callable[[], int]
    number: int
    granted: anyio.Event = field(factory=anyio.Event)


@define(eq=False)
class Gate:
    """The tokens that all chats of a channel share.

    The most urgent goes first; among equals, who came first.  A chat waits for one token at a
    time, so one with hundreds of letters takes turns with the others.
    """

    _bucket: Bucket
    _clock: Clock
    _claims: dict[int, _Claim] = field(factory=dict, init=False)
    _numbers: Iterator[int] = field(factory=itertools.count, init=False)
    _bell: anyio.Event = field(factory=anyio.Event, init=False)

    async def enter(self, rank: Callable[[], int]) -> None:
        """Wait for a token and take it.

        `rank` says how urgent it is, smaller is more urgent; it is asked again whenever a token
        can be given, since something more urgent may have come up meanwhile.
        """
        await checkpoint()
        if not self._claims and not self._bucket.wait():
            self._bucket.take()
            return
        claim = _Claim(rank, next(self._numbers))
        self._claims[claim.number] = claim
        self._bell.set()
        try:
            await claim.granted.wait()
        finally:
            self._claims.pop(claim.number, None)

    def charge(self, count: int) -> None:
        """Take tokens for what was sent beyond the one message that was asked for."""
        self._bucket.take(count)

    async def run(self) -> None:
        """Give tokens to those who wait, until cancelled."""
        while True:
            self._bell = anyio.Event()
            if not self._claims:
                await self._bell.wait()
                continue
            seconds = self._bucket.wait()
            if seconds:
                await self._clock.sleep(pause(seconds))
                continue
            # Looked for at each token: ranks change, and no more than some chats wait at a time.
            first = min(self._claims.values(), key=lambda claim: (claim.rank(), claim.number))
            del self._claims[first.number]
            self._bucket.take()
            first.granted.set()


@define(eq=False)
class Holds:
    """Chats that the channel asked us to leave alone for a time."""

    _notes: NoteStore
    _clock: Clock
    _until: dict[Chat, float] = field(factory=dict, init=False)
    """On the monotonic clock."""

    async def load(self) -> None:
        """Read what was written down before a restart.  Raises `StorageUnavailable`."""
        over = []
        for note in await self._notes.list(HOLD):
            channel, _, chat_id = note.key.partition(":")
            left = _left(note, self._clock.now())
            if left > 0:
                self._until[channel, chat_id] = self._clock.monotonic() + left
            else:
                over.append(note.key)
        if over:
            await self._notes.close(HOLD, over)

    def left(self, chat: Chat) -> float:
        """Seconds for which the chat must be left alone; 0 when it need not."""
        until = self._until.get(chat)
        if until is None:
            return 0.0
        seconds = until - self._clock.monotonic()
        if seconds <= _TICK:
            del self._until[chat]
            return 0.0
        return seconds

    async def hold(self, chat: Chat, duration: timedelta) -> None:
        """Leave the chat alone for so long, also after a restart."""
        seconds = duration.total_seconds()
        if seconds <= self.left(chat):
            return
        self._until[chat] = self._clock.monotonic() + seconds
        until = self._clock.now() + duration
        note = Note(
            kind=HOLD,
            key=":".join(chat),
            value={"until": until.isoformat(), "seconds": seconds},
        )
        log.warning("chat.held", channel=chat[0], chat_id=chat[1], seconds=seconds)
        try:
            await self._notes.put([note])
        except TransientError as error:
            # It is kept to all the same, as long as this process lives.
            log.error("chat.hold_not_written", channel=chat[0], error=str(error))


def _left(note: Note, now: datetime) -> float:
    """Seconds that are left of a hold; what cannot be read holds nobody."""
    until, seconds = note.value.get("until"), note.value.get("seconds")
    if not isinstance(until, str) or not isinstance(seconds, int | float):
        return 0.0
    try:
        left = (datetime.fromisoformat(until) - now).total_seconds()
    except (ValueError, TypeError):  # no time, or one without its offset
        return 0.0
    return min(left, float(seconds))


@define(eq=False)
class Pace:
    """The paces of one channel: of each chat, and of all of them."""

    _rates: Rates
    _clock: Clock
    _is_group: Callable[[Address], bool]
    gate: Gate | None = field(init=False)
    """None: the channel bears any number of chats at once."""

    def __attrs_post_init__(self) -> None:
        total = self._rates.total
        self.gate = None if total is None else Gate(Bucket(total, self._clock), self._clock)

    def bucket(self, address: Address) -> Bucket:
        """A new, full bucket for one chat."""
        rate = self._rates.group if self._is_group(address) else self._rates.chat
        return Bucket(rate, self._clock)

    def edit_every(self, address: Address) -> timedelta:
        """The shortest time between two states of a card in that chat."""
        return self._rates.group_edit_every if self._is_group(address) else self._rates.edit_every
