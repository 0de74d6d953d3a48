"""Letters, kept in memory."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from datetime import timedelta

from attrs import define, evolve, field

from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.outbox import LetterCount, Outbox
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal, wait_until


@define(eq=False)
class LetterBox:
    """The letters themselves: what outlives every process that opens it."""

    changes: Signal = field(factory=Signal)
    waiting: dict[str, Letter] = field(factory=dict)
    sent: dict[str, Letter] = field(factory=dict)
    undeliverable: dict[str, tuple[Letter, str]] = field(factory=dict)
    """With the reason."""


@define(eq=False)
class MemoryOutbox(Outbox):
    """One process's view of a box of letters; writes are named `outbox.<method>`."""

    _clock: Clock
    box: LetterBox = field(factory=LetterBox)
    faults: Faults = field(factory=Faults, kw_only=True)
    _seen: int = field(default=0, init=False)

    async def post(self, letter: Letter) -> bool:
        async with self.faults.around("outbox.post"):
            box = self.box
            if any(letter.name in names for names in (box.waiting, box.sent, box.undeliverable)):
                return False
            self.box.waiting[letter.name] = letter
            self.box.changes.notify()
            return True

    async def pending(
        self, limit: int = 100, *, skip: Collection[str] = frozenset()
    ) -> Sequence[Letter]:
        async with self.faults.around("outbox.pending", is_write=False):
            waiting = (letter for name, letter in self.box.waiting.items() if name not in skip)
            return list(itertools.islice(waiting, limit))

    async def record(self, letter: Letter, receipt: Receipt) -> Letter:
        async with self.faults.around("outbox.record"):
            known = self.box.waiting.get(letter.name, letter)
            known = evolve(known, receipts=(*known.receipts, receipt))
            if letter.name in self.box.waiting:
                self.box.waiting[letter.name] = known
            return known

    async def mark_sent(self, letter: Letter) -> None:
        async with self.faults.around("outbox.mark_sent"):
            known = self.box.waiting.pop(letter.name, None)
            if known is not None:
                self.box.sent[letter.name] = evolve(known, is_sent=True)

    async def set_aside(self, letter: Letter, reason: str) -> None:
        async with self.faults.around("outbox.set_aside"):
            known = self.box.waiting.pop(letter.name, None)
            if known is not None:
                self.box.undeliverable[letter.name] = (known, reason)

    async def wait(self, timeout: timedelta | None = None) -> bool:
        # By change, not by content: a letter that has to wait for its channel must not make the
        # courier spin, and one that came in between `pending` and `wait` must wake it.
        seen = self._seen
        is_woken = await wait_until(
            lambda: self.box.changes.version > seen,
            signal=self.box.changes,
            clock=self._clock,
            timeout=timeout,
        )
        if is_woken:
            self._seen = self.box.changes.version
        return is_woken

    async def count(self) -> LetterCount:
        async with self.faults.around("outbox.count", is_write=False):
            return LetterCount(
                waiting=len(self.box.waiting), undeliverable=len(self.box.undeliverable)
            )
