"""One run at a time in an opencode session, across processes.

Two `opencode run` on one session are not kept apart by opencode: messages interleave, and the
first loses its last step and still exits 0 (1.18).  The lock is a kernel lock on a file, held by
the dispatcher and, through an inherited descriptor, by the supervisor: it is free only when the
last process of the run is gone, also after a `kill -9` of Hermes.

A file goes a while after its session was last used, so there are no more of them than sessions
lately.  Who takes a lock therefore looks whether its file is still the one of that name.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import anyio.to_thread

from galaxy_core.domain.errors import DispatcherUnavailable

_LOOK_SECONDS = 0.05
_ENDING = ".lock"
UNUSED_FOR = timedelta(days=1)
"""A conversation goes on within hours, mostly; one that goes on later makes its file anew."""


@asynccontextmanager
async def session_lock(folder: Path, session_id: str, patience: timedelta) -> AsyncIterator[int]:
    """Hold the session; gives the descriptor that holds it.

    Raises `DispatcherUnavailable` when somebody else holds it for longer than `patience`.
    """
    path = folder / f"{session_id}{_ENDING}"
    file, is_new = _open(path)
    try:
        if is_new:
            # A session that is new is the moment at which there would be one file more.  In a
            # thread: of an older version there may be one for each session that ever was.
            await anyio.to_thread.run_sync(sweep_session_locks, folder)
        deadline = anyio.current_time() + patience.total_seconds()
        while True:
            if _try_lock(file):
                if _is_in_place(file, path):
                    break
                # Swept away before we had the lock.
                swept, (file, _) = file, _open(path)
                os.close(swept)
                continue
            if anyio.current_time() >= deadline:
                raise DispatcherUnavailable(
                    f"Another process works in the opencode session {session_id}; "
                    "the order waits until that is over."
                )
            await anyio.sleep(_LOOK_SECONDS)
        os.utime(file)
        yield file
    finally:
        # Only our copy: a supervisor that still ends its processes goes on holding the lock.
        os.close(file)


def sweep_session_locks(folder: Path, *, unused_for: timedelta = UNUSED_FOR) -> int:
    """Remove files of sessions that nobody holds or has held lately; how many.

    Safe beside processes that take locks.
    """
    swept, oldest = 0, time.time() - unused_for.total_seconds()
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):  # gone already, or not ours
                is_old = entry.stat(follow_symlinks=False).st_mtime < oldest
                if is_old and entry.name.endswith(_ENDING):
                    swept += _sweep(Path(entry.path))
    return swept


def _sweep(path: Path) -> bool:
    file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        is_free = _try_lock(file) and _is_in_place(file, path)
        if is_free:
            path.unlink()
        return is_free
    finally:
        os.close(file)


def _open(path: Path) -> tuple[int, bool]:
    """The file, and whether it is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CLOEXEC
    with contextlib.suppress(FileExistsError):
        return os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600), True
    return os.open(path, flags | os.O_CREAT, 0o600), False


def _is_in_place(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
