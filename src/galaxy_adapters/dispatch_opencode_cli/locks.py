"""One run at a time in an opencode session, across processes.

Two `opencode run` on one session are not kept apart by opencode: messages interleave, and the
first loses its last step and still exits 0 (1.18).  The lock is a kernel lock on a file, held by
the dispatcher and, through an inherited descriptor, by the supervisor: it is free only when the
last process of the run is gone, also after a `kill -9` of Hermes.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio

from galaxy_core.domain.errors import DispatcherUnavailable

_LOOK_SECONDS = 0.05


@asynccontextmanager
async def session_lock(folder: Path, session_id: str, patience: timedelta) -> AsyncIterator[int]:
    """Hold the session; gives the descriptor that holds it.

    Raises `DispatcherUnavailable` when somebody else holds it for longer than `patience`.
    """
    file = _open(folder, session_id)
    try:
        deadline = anyio.current_time() + patience.total_seconds()
        while not _try_lock(file):
            if anyio.current_time() >= deadline:
                raise DispatcherUnavailable(
                    f"Another process works in the opencode session {session_id}; "
                    "the order waits until that is over."
                )
            await anyio.sleep(_LOOK_SECONDS)
        yield file
    finally:
        # Only our copy: a supervisor that still ends its processes goes on holding the lock.
        os.close(file)


def _open(folder: Path, session_id: str) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / f"{session_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
