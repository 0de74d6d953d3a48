"""Writing the trail: many tasks, one write and one sync.

Who finds nobody writing takes everything that waits, its own events first, into a thread and
writes it; who comes meanwhile waits, and the first of those writes next.  So a call alone costs
one sync, and thirty-two at once cost two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_adapters.audit_jsonl._log import ChainedLog
from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.audit_sink import AuditSink

__all__ = ["DEFAULT_ROTATE_BYTES", "JsonlAuditSink"]

DEFAULT_ROTATE_BYTES = 64 << 20
"""Some 200,000 lines: small enough for an editor, and few files even after years."""


@define(eq=False)
class _Call:
    """One caller's events on their way to the disk."""

    bodies: list[bytes]
    at: datetime
    turn: anyio.Event = field(factory=anyio.Event)
    """Set when the events were written or could not be, or when this call is to write."""
    is_settled: bool = False
    error: StorageUnavailable | None = None


class JsonlAuditSink(AuditSink):
    """`AuditSink` on one file, chained over all writers of that file.

    Belongs to one event loop; other processes, and other sinks on the same file, are kept apart
    by a lock beside it.  Full parts are put aside at `rotate_bytes` (None: never) and kept.
    `lock_timeout` is how long a stopped process may hold everybody up before `StorageUnavailable`.
    """

    def __init__(
        self,
        path: Path,
        *,
        rotate_bytes: int | None = DEFAULT_ROTATE_BYTES,
        lock_timeout: timedelta = timedelta(seconds=10),
    ) -> None:
        self._log = ChainedLog(path, rotate_bytes=rotate_bytes, lock_timeout=lock_timeout)
        self._waiting: list[_Call] = []
        self._is_writing = False

    async def record(self, events: Sequence[AuditEvent]) -> None:
        if not events:
            return
        call = _Call([encode_body(event) for event in events], events[0].timestamp)
        self._waiting.append(call)
        if self._is_writing:
            await self._wait(call)
        if not call.is_settled:
            await self._write_all_that_waits()
        if call.error is not None:
            raise call.error

    async def close(self) -> None:
        """Close the files, after the last `record` has returned.  Safe twice."""
        await to_thread.run_sync(self._log.close)

    async def _wait(self, call: _Call) -> None:
        try:
            await call.turn.wait()
        except BaseException:
            # Cancelled: events that no thread has yet are dropped, the others are written all
            # the same.  A turn that was handed over in the same moment goes on to the next.
            if call in self._waiting:
                self._waiting.remove(call)
                if call.turn.is_set():
                    self._hand_over()
            raise

    async def _write_all_that_waits(self) -> None:
        self._is_writing = True
        batch, self._waiting = self._waiting, []
        failure: StorageUnavailable | None = None
        try:
            # Others depend on this write, so no cancellation may come between: its limit is the
            # lock's timeout and the disk.
            with anyio.CancelScope(shield=True):
                bodies = [body for call in batch for body in call.bodies]
                await to_thread.run_sync(self._log.append, bodies, batch[0].at)
        except StorageUnavailable as error:
            failure = error
        finally:
            for call in batch:
                call.is_settled = True
                if failure is not None:
                    call.error = _copy_of(failure)
                call.turn.set()
            self._hand_over()

    def _hand_over(self) -> None:
        self._is_writing = bool(self._waiting)
        if self._waiting:
            self._waiting[0].turn.set()


def _copy_of(error: StorageUnavailable) -> StorageUnavailable:
    """One for each caller: a shared exception would collect everybody's tracebacks."""
    copy = StorageUnavailable(str(error), retry_after=error.retry_after)
    copy.errno = error.errno
    copy.__cause__ = error.__cause__
    return copy
