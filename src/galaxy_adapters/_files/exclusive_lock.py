"""One process at a time: a kernel lock on a file that exists for nothing else."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

_FIRST_PAUSE_S = 0.0005
_LONGEST_PAUSE_S = 0.02
LOCK_PATIENCE = timedelta(seconds=10)
"""Holders need milliseconds; whoever needs longer was stopped, and may stay so."""


@contextlib.contextmanager
def exclusive_lock(path: Path, *, timeout: timedelta = LOCK_PATIENCE) -> Iterator[None]:
    """Hold the lock file `path`, made when it is missing; any death of the holder frees it.

    Blocks.  Keeps threads of one process apart too.  The file must never be removed: a lock on
    a removed file excludes nobody.  Raises `OSError`, `TimeoutError` (which is one) included.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(fd, path, timeout.total_seconds())
        yield
    finally:
        os.close(fd)


def _acquire(fd: int, path: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while True:
        try:
            # The blocking form could not be given up while its holder is stopped.
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, f"another process has held {path} for {timeout_s:g} seconds"
                ) from None
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        else:
            return
