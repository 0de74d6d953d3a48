"""Which orders were given up and wait for a person to decide, without reading the archive.

A name for each, made before the order is archived: a name without its order means nothing.  The
folder may be removed: the next worker that begins makes it anew from the archive.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from attrs import define

from galaxy_adapters._files import SCRATCH_PREFIX, make_durable_folder, sync_directory
from galaxy_adapters.queue_filesystem._paths import ENDING, QueuePaths, is_order_name, stem_of
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Outcome

NO_ORDER = (FileNotFoundError, PermissionError, UnreadableFile)
"""What somebody else put there; a disk in trouble is another matter."""


@define(eq=False)
class DeadLetters:
    """The names.  All methods block."""

    _paths: QueuePaths
    _outcome_in: Callable[[str], Outcome]
    """How the order in a file of the archive ended."""

    def note(self, order_id: str) -> None:
        """The order is about to be archived as given up.  Durable when it returns; safe twice.

        Raises `OSError`.
        """
        self.learn()
        name = Path(self._paths.dead, order_id)
        name.touch()
        sync_directory(name.parent)

    def learn(self) -> None:
        """Where there are no names at all, make them from the archive.  Raises `OSError`."""
        if os.path.isdir(self._paths.dead):
            return
        found = self._search()
        made = Path(self._paths.scratch, f"{SCRATCH_PREFIX}dead-{uuid4().hex}")
        make_durable_folder(made)
        for order_id in found:
            (made / order_id).touch()
        sync_directory(made)
        with contextlib.suppress(OSError):  # somebody else was quicker
            made.rename(self._paths.dead)
            sync_directory(Path(self._paths.dead).parent)
        shutil.rmtree(made, ignore_errors=True)

    def dismiss(self, order_id: str) -> bool:
        """Nobody needs to decide on it any more; whether that is new.  Durable; safe twice.

        Raises `OSError`.
        """
        is_new = not self.is_decided(order_id)
        make_durable_folder(Path(self._paths.dismissed))
        Path(self._paths.dismissed, order_id).touch()
        sync_directory(Path(self._paths.dismissed))
        return is_new

    def is_decided(self, order_id: str) -> bool:
        """Whether somebody had it tried again, or dismissed it."""
        return any(
            os.path.lexists(path)
            for path in (self._paths.successor(order_id), f"{self._paths.dismissed}/{order_id}")
        )

    def undecided(self, limit: int) -> list[OrderId]:
        """Those that nobody has decided on, in no particular order.

        Reads all of the archive where no worker has begun since there are names.
        """
        found: list[OrderId] = []
        try:
            names = os.listdir(self._paths.dead)
        except FileNotFoundError:
            names = self._search()
        for name in names:
            if self.is_decided(name):
                continue
            with contextlib.suppress(*NO_ORDER):
                if self._outcome_in(f"{name}{ENDING}") is Outcome.DEAD:
                    found.append(OrderId(name))
            if len(found) == limit:
                break
        return found

    def _search(self) -> list[str]:
        found = []
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._paths.archive):
                with contextlib.suppress(*NO_ORDER):
                    if is_order_name(name) and self._outcome_in(name) is Outcome.DEAD:
                        found.append(stem_of(name))
        return found
