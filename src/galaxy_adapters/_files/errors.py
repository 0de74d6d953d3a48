"""What the operating system says, as an error that tells a person what to do."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from galaxy_core.domain.errors import StorageUnavailable

_ADVICE = {
    errno.ENOSPC: "no space is left on the disk (or no free inodes): free some",
    errno.EDQUOT: "the disk quota is used up: free some space or ask for more",
    errno.EROFS: "the file system is read-only: remount it writable, and look into the kernel log",
    errno.EIO: "the disk reported an input/output error: look into the kernel log, check the disk",
    errno.EACCES: "permission is denied: make the folder writable for this user",
    errno.EPERM: "permission is denied: make the folder belong to this user",
    errno.ENOENT: "the folder is gone: bring it back (is a disk not mounted?)",
    errno.ENOTDIR: "a file stands where a folder should be: move it away",
    errno.EMFILE: "this process has too many open files: raise its limit (ulimit -n)",
    errno.ENFILE: "the system has too many open files: raise fs.file-max",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.EFBIG: "the file would be larger than this process may write: raise ulimit -f",
    errno.ESTALE: "the network folder went away: mount it again",
}


def storage_unavailable(deed: str, what: object, error: OSError) -> StorageUnavailable:
    """Say that `deed` ("write", "read") on `what` failed, why, and what a person can do."""
    code = error.errno
    known = _ADVICE.get(code) if code is not None else None
    why = known or f"{error.strerror or error} (errno {code})"
    unavailable = StorageUnavailable(f"Cannot {deed} {what}: {why}.")
    unavailable.errno = code
    return unavailable


class storage_errors:  # noqa: N801 - used like contextlib.suppress
    """Turn every `OSError` of the block into `StorageUnavailable`, which itself passes through."""

    def __init__(self, deed: str, what: str | os.PathLike[str]) -> None:
        self._deed = deed
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, StorageUnavailable):
            raise storage_unavailable(self._deed, self._what, error) from error
