"""Renaming without ever replacing: the one step that exactly one of many can win."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.ENOSYS, errno.EINVAL, errno.ENOTSUP})


def rename_exclusively(source: str, target: str) -> bool:
    """Move `source` to `target` unless that exists; False when it does.

    One atomic step on Linux.  Elsewhere, and on file systems that do not know it, a hard link
    and an unlink: a process that dies between the two leaves both names for the same file.
    Raises `OSError` (`FileNotFoundError` when `source` is gone).
    """
    renameat2 = _find_renameat2()
    if renameat2 is not None:
        code = renameat2(os.fsencode(source), os.fsencode(target))
        if code == 0:
            return True
        if code == errno.EEXIST:
            return False
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code), source, None, target)
    return _link_and_unlink(source, target)


def _link_and_unlink(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except PermissionError:
        # Folders have no hard links, and other users' files may not be given any.  Two who
        # rename to one name at the same moment are not kept apart here.
        if os.path.lexists(target):
            return False
        os.rename(source, target)
        return True
    os.unlink(source)
    return True


@cache
def _find_renameat2() -> Callable[[bytes, bytes], int] | None:
    """The C library's call, as a function that returns 0 or the error number."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int

    def renameat2(source: bytes, target: bytes) -> int:
        while call(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE) != 0:
            code = ctypes.get_errno()
            if code != errno.EINTR:
                return code
        return 0

    return renameat2
