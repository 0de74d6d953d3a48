"""Starting to write a file to the disk, without waiting for it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

_SYNC_FILE_RANGE_WRITE = 2


def start_writing_back(fd: int) -> None:
    """Have the kernel begin to write the file's content; does nothing where it cannot be asked.

    With the content of many files on its way, the first sync commits the places of all of them
    and the others have little left to wait for.  Promises nothing by itself.
    """
    call = _find_sync_file_range()
    if call is not None:
        call(fd, 0, 0, _SYNC_FILE_RANGE_WRITE)


@cache
def _find_sync_file_range() -> Callable[[int, int, int, int], int] | None:
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    call.restype = ctypes.c_int

    def sync_file_range(fd: int, offset: int, length: int, flags: int) -> int:
        return int(call(fd, offset, length, flags))

    return sync_file_range
