"""The writing end of one order's feed: few writes, small ones, and never a sync.

Events that come within a tenth of a second of the last write are collected and written together
by a timer; watchers in this process see them before that.  When the disk refuses, lines wait in
memory, up to a limit, and are tried again.  Killed at any moment, a feed lacks its last tenth of
a second, or ends in a torn line that every reader passes over.
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

from galaxy_adapters.progress_filesystem._lines import Line, decode, shortened
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.progress import add_to_progress
from galaxy_core.domain.run import (
    Noticed,
    PermissionRequested,
    QuestionAsked,
    ReasoningAppended,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunStarted,
    TextAppended,
    ToolChanged,
)

WRITE_EVERY_S = 0.1
RETRY_EVERY_S = 1.0
MAX_BYTES = 8 << 20
"""Size of a feed from which on only milestones are added; the answer comes whole at the end."""
MAX_WAITING = 1_000
"""Lines that wait for a disk that refuses them; then the oldest are lost."""

_AT_ONCE = (RunStarted, PermissionRequested, QuestionAsked, RequestResolved, RunEnded)
_LEFT_OUT_WHEN_FULL = (TextAppended, ReasoningAppended, ToolChanged)


class FeedWriter:
    """Appends to one feed; belongs to one event loop and is its file's only writer."""

    def __init__(self, path: Path, order_id: OrderId) -> None:
        self._path = path
        self._fd: int | None = None
        self._lacks_newline = False
        self._size = 0
        self._is_full = False
        self._timer: asyncio.TimerHandle | None = None
        self._last_write = float("-inf")
        self._number = 0
        self._written = Progress(order_id=order_id)
        """The sum of what stands in the file."""
        self.waiting: list[Line] = []
        """Lines that are not in the file yet."""
        self._take_up()

    @property
    def progress(self) -> Progress:
        """The sum of all events so far."""
        progress = self._written
        for line in self.waiting:
            progress = add_to_progress(progress, line.item)
        return progress

    def publish(self, event: RunEvent, at: datetime) -> None:
        """Add an event.  Never raises for what the disk does."""
        self._number += 1
        event = shortened(event)
        if self._size > MAX_BYTES:
            if isinstance(event, _LEFT_OUT_WHEN_FULL) and self._is_full:
                return
            if not self._is_full:
                self._is_full = True
                event = Noticed(message="This run is too long to be shown live any further.")
        item = ProgressItem(number=self._number, at=at, event=event)
        joined = self.waiting[-1].joined_with(item) if self.waiting else None
        if joined is None:
            self.waiting.append(Line(item))
        else:
            self.waiting[-1] = joined
        loop = asyncio.get_running_loop()
        if isinstance(event, _AT_ONCE) or loop.time() - self._last_write >= WRITE_EVERY_S:
            self.flush()
        elif self._timer is None:
            self._set_timer(WRITE_EVERY_S)

    def flush(self) -> None:
        """Write what waits; what the disk refuses goes on waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.waiting:
            return
        try:
            self._write(b"".join(line.encode() for line in self.waiting))
        except OSError:
            self._close_file()
            del self.waiting[:-MAX_WAITING]
            self._set_timer(RETRY_EVERY_S)
            return
        self._written, self.waiting = self.progress, []
        self._last_write = asyncio.get_running_loop().time()
        if self._written.is_over:
            self._close_file()

    def close(self) -> None:
        """Write what waits and close the file; what cannot be written now is lost."""
        self.flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close_file()

    def drop(self) -> None:
        """Close the file without another write."""
        self.waiting = []
        self.close()

    def _set_timer(self, seconds: float) -> None:
        # A timer and not a task: it writes a few hundred bytes to the page cache and is over, and
        # `publish` has no task group that would outlive it.
        self._timer = asyncio.get_running_loop().call_later(seconds, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.flush()

    def _write(self, data: bytes) -> None:
        fd = self._open()
        if self._lacks_newline:
            data = b"\n" + data
        written = os.write(fd, data)
        self._size += written
        self._lacks_newline = written < len(data)
        if self._lacks_newline:
            # No space left.  The lines stay in `waiting`: those that got through come twice, with
            # the same number, which readers take once.
            raise OSError("short write")

    def _open(self) -> int:
        if self._fd is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._fd = os.open(self._path, flags, 0o600)
        return self._fd

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _take_up(self) -> None:
        """Go on where another process, or an earlier run of the order, left the file."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return
        self._size = len(data)
        self._lacks_newline = not data.endswith(b"\n") and bool(data)
        for text in data.splitlines():
            line = decode(text)
            if line is not None and line.number > self._number:
                self._number = line.number
                self._written = add_to_progress(self._written, line.item)
