"""Writing a file out to the disk without a commit: begun, or waited for.

Neither promises anything by itself: the disk may keep the content in a cache of its own, and the
file's place and size are in the next commit of the journal.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

_WAIT_BEFORE, _WRITE, _WAIT_AFTER = 1, 2, 4
_FORBIDDEN = frozenset({errno.ENOSYS, errno.EPERM})
"""What a sandbox says that knows no such call."""


def start_writing_back(fd: int) -> None:
    """Have the kernel begin to write the file's content; does nothing where it cannot be asked.

    With the content of many files on its way, the first sync commits the places of all of them
    and the others have little left to wait for.
    """
    call = _find_sync_file_range()
    if call is not None:
        call(fd, _WRITE)


def can_write_out() -> bool:
    """Whether `write_out` works on this system."""
    return _find_sync_file_range() is not None


def write_out(fd: int) -> bool:
    """Wait until the file's content was written and has its place and size; `OSError` if it fails.

    Only then: what is renamed after this is committed with or after that place and size.  False,
    with nothing done, where a sandbox forbids the call.
    """
    call = _find_sync_file_range()
    if call is None:
        raise NotImplementedError("this system has no sync_file_range")
    code = call(fd, _WAIT_BEFORE | _WRITE | _WAIT_AFTER)
    if code in _FORBIDDEN:
        return False
    if code != 0:
        raise OSError(code, os.strerror(code))
    return True


@cache
def _find_sync_file_range() -> Callable[[int, int], int] | None:
    """The C library's call for a whole file: 0 or the error number."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    call.restype = ctypes.c_int

    def sync_file_range(fd: int, flags: int) -> int:
        return 0 if call(fd, 0, 0, flags) == 0 else ctypes.get_errno()

    return sync_file_range
