"""One sync of a folder for many writers: whoever comes first syncs for all who wait by then."""

from __future__ import annotations

import threading
from pathlib import Path

from galaxy_adapters._files.durable import sync_directory
from galaxy_core.domain.errors import StorageUnavailable

_KEPT_FAILURES = 64


class SharedSync:
    """Syncs one folder on behalf of many threads (a group commit).

    A writer's name must be in the folder before it calls `sync`; it returns after a sync that
    began later than the call.  Alone, a writer pays for exactly one sync and never waits.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = folder
        self._condition = threading.Condition()
        self._begun = 0
        self._ended = 0
        self._is_running = False
        self._failures: dict[int, StorageUnavailable] = {}

    def sync(self) -> None:
        """Block until the folder's names survive a power cut.  Raises `StorageUnavailable`."""
        with self._condition:
            # One that runs already may have begun before our name was there.
            wanted = self._begun + 1
            while self._ended < wanted and self._is_running:
                self._condition.wait()
            if self._ended >= wanted:
                self._raise_failure(wanted)
                return
            self._begun += 1
            self._is_running = True
        failure = None
        try:
            sync_directory(self._folder)
        except StorageUnavailable as error:
            failure = error
            raise
        finally:
            with self._condition:
                self._is_running = False
                self._ended = self._begun
                if failure is not None:
                    self._failures[self._ended] = failure
                    self._failures.pop(self._ended - _KEPT_FAILURES, None)
                self._condition.notify_all()

    def _raise_failure(self, number: int) -> None:
        """Tell a follower that its sync failed: a later one that went well proves nothing."""
        failure = self._failures.get(number)
        if failure is not None:
            raise StorageUnavailable(str(failure)) from failure
