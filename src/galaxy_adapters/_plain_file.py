"""Opening a file where anybody may have put something else.  Imports nothing, so it starts fast."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_plain_file(path: str | Path, flags: int = os.O_RDONLY, *, mode: int = 0o600) -> int:
    """Open a file for reading, or with `flags`; the descriptor.  Never waits.

    Follows links: for files that a person may have put elsewhere.  Raises `OSError`, also for
    what is no plain file.
    """
    try:
        # Without O_NONBLOCK a pipe is waited for until somebody opens its other end.
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno in {errno.ENXIO, errno.ENODEV}:
            raise _no_file(path) from error
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise _no_file(path)


def _no_file(path: str | Path) -> OSError:
    reason = "something that is no plain file stands where one should be: move it away"
    return OSError(errno.EINVAL, reason, os.fspath(path))
