"""Being told that somebody dropped a letter."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
from attrs import define, field

from galaxy_adapters._files import NEW_CONTENT, ChangeKind, FolderWatch
from galaxy_adapters._files.hearing import Hearing
from galaxy_adapters.outbox_filesystem.box import SUFFIX, is_letter_name
from galaxy_core.ports.clock import Clock

__all__ = ["Notices"]


@define(eq=False)
class Notices:
    """Notices of letters in one folder, for one courier."""

    _folder: Path
    _clock: Clock
    _is_polling: bool
    """Look each second instead of being told: for folders that other hosts write to."""
    _hearing: Hearing
    _watch: FolderWatch | None = field(default=None, init=False)

    def open(self) -> bool:
        """Begin to watch; False when it was begun before."""
        if self._watch is not None:
            return False
        self._watch = FolderWatch(is_polling=self._is_polling)
        self._watch.add(self._folder, NEW_CONTENT)
        return True

    def close(self) -> None:
        """Stop watching.  Safe twice."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def take(self) -> bool:
        """Whether there was a notice of a letter since the last call."""
        changes = self._watch.take() if self._watch is not None else []
        for change in changes:
            if change.kind is ChangeKind.RESCAN:
                self._hearing.excuse()
            else:
                self._hearing.heard(change.name.removesuffix(SUFFIX))
        return any(c.kind is ChangeKind.RESCAN or is_letter_name(c.name) for c in changes)

    @property
    def are_asked_for(self) -> bool:
        """Whether notices are waited for now, and nobody looks by the clock instead."""
        return self._watch is not None and not self._watch.is_polling

    async def wait(self, pause: timedelta) -> None:
        """Sleep until there may be a notice, or for `pause`."""
        watch = self._watch
        if watch is None:
            await self._clock.sleep(pause)
            return
        async with anyio.create_task_group() as group:

            async def be_told() -> None:
                await watch.wait(None)
                group.cancel_scope.cancel()

            group.start_soon(be_told, name="outbox.notice")
            await self._clock.sleep(pause)
            group.cancel_scope.cancel()
