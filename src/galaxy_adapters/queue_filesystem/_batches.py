"""Many orders at once: those that come while others are written make up the next batch.

Alone, an order waits for nobody.  Whoever finds nobody writing writes for all who wait.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio.to_thread
from anyio.lowlevel import checkpoint
from attrs import define, field

from galaxy_adapters.queue_filesystem._accept import Acceptance, Accepted, Incoming, NewFile
from galaxy_adapters.queue_filesystem._paths import ENDING
from galaxy_adapters.queue_filesystem._signal import Signal
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.domain.order import Order

_LARGEST = 64


@define(eq=False)
class _Handed:
    """One order that was handed in."""

    incoming: Incoming
    answer: Accepted | GalaxyError | None = None


@define(eq=False)
class Batches:
    """Hands orders to `Acceptance`, together where several wait.  For one event loop."""

    acceptance: Acceptance
    welcome: Callable[[NewFile], None]
    """Hears of each new file, once it is accepted."""
    expected: set[str] = field(factory=set, init=False)
    """Names of files that are being stored: `welcome` is going to hear of them."""
    _waiting: list[_Handed] = field(factory=list, init=False)
    _written: Signal = field(factory=Signal, init=False)
    _is_writing: bool = field(default=False, init=False)
    _was_shared: bool = field(default=False, init=False)

    async def accept(self, order: Order, arrival_ns: int) -> Accepted:
        """Store the order.  Raises `InvalidOrder`, `StorageUnavailable`."""
        if order.idempotency_key not in {None, order.id}:
            # Its key has to be on the disk before it is: nothing to be shared.
            accepted = await anyio.to_thread.run_sync(self.acceptance.accept, order, arrival_ns)
            self._tell(accepted)
            return accepted
        # Made ready here: mostly in the time in which others wait for the disk.
        handed = _Handed(Incoming(order, arrival_ns))
        self._waiting.append(handed)
        try:
            while handed.answer is None:
                if self._waiting and not self._is_writing:
                    await self._write()
                else:
                    await self._written.next_change.wait()
        finally:
            if handed in self._waiting:  # cancelled: it must not be stored some time later
                self._waiting.remove(handed)
        if isinstance(handed.answer, GalaxyError):
            raise handed.answer
        return handed.answer

    async def _write(self) -> None:
        """Write for all who wait."""
        self._is_writing = True
        batch: list[_Handed] = []
        try:
            if self._was_shared:
                # Those who have just been answered hand in their next ones in this moment.
                await checkpoint()
            batch, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
            self._was_shared = len(batch) > 1
            orders = [handed.incoming for handed in batch]
            self.expected.update(each.order.id + ENDING for each in orders)
            answers = await anyio.to_thread.run_sync(self.acceptance.accept_all, orders)
            for handed, answer in zip(batch, answers, strict=True):
                handed.answer = answer
        finally:
            self.expected.clear()
            # Cancelled before it began: somebody else writes them.
            self._waiting[:0] = [handed for handed in batch if handed.answer is None]
            self._is_writing = False
            self._written.notify()
            for handed in batch:
                self._tell(handed.answer)

    def _tell(self, answer: Accepted | GalaxyError | None) -> None:
        if isinstance(answer, Accepted) and answer.file is not None:
            self.welcome(answer.file)
