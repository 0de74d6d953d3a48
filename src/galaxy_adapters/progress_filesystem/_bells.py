"""Waking those who watch orders: by the writer in this process, or by the kernel for others'.

The watch of the folder has one reader at a time.  Each sleeping watcher would be it; who is wakes
the others, and when it leaves, the next one takes over.  So there is no task of our own that
somebody would have to start and stop, and no watch while nobody watches.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import anyio
from attrs import define, field

from galaxy_adapters._files import ChangeKind, FolderWatch

_KINDS = ChangeKind.MODIFIED | ChangeKind.CREATED | ChangeKind.GONE
_RESCAN_S = 5.0
"""Notices may be lost: look all the same."""


@define(eq=False)
class Bells:
    """One bell for each feed that is watched, by its file's name."""

    _folder: Path
    _is_polling: bool = False
    _bells: dict[str, anyio.Event] = field(factory=dict, init=False)
    _sleepers: int = field(default=0, init=False)
    _watch: FolderWatch | None = field(default=None, init=False)
    _turn: anyio.Lock = field(factory=anyio.Lock, init=False)

    def listen(self) -> None:
        """Begin to be told of changes: before the first look, so that none is missed."""
        self._sleepers += 1
        if self._watch is None:
            with suppress(OSError):  # then it is watched for: slower to notice the first event
                self._folder.mkdir(parents=True, exist_ok=True)
            self._watch = FolderWatch(is_polling=self._is_polling, poll_seconds=0.1)
            self._watch.add(self._folder, _KINDS)

    def leave(self) -> None:
        """The counterpart of `listen`."""
        self._sleepers -= 1
        if self._sleepers == 0 and self._watch is not None:
            self._watch.close()
            self._watch = None
            self._bells.clear()

    def bell(self, name: str) -> anyio.Event:
        """The event of the feed's next change: take it before looking, wait for it after."""
        return self._bells.setdefault(name, anyio.Event())

    def ring(self, name: str) -> None:
        """Wake who watches this feed."""
        bell = self._bells.pop(name, None)
        if bell is not None:
            bell.set()

    async def wait(self, bell: anyio.Event) -> None:
        """Sleep until the bell rings, or for some seconds."""
        if bell.is_set():
            return
        with anyio.move_on_after(_RESCAN_S):
            async with anyio.create_task_group() as group:
                group.start_soon(self._ring_for_others, name="progress.notices")
                await bell.wait()
                group.cancel_scope.cancel()

    async def _ring_for_others(self) -> None:
        async with self._turn:
            while self._watch is not None:
                for change in self._watch.take():
                    if change.kind is ChangeKind.RESCAN:
                        for name in list(self._bells):
                            self.ring(name)
                    else:
                        self.ring(change.name)
                await self._watch.wait(_RESCAN_S)
