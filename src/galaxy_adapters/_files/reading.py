"""Reading what anybody may have put there: bounded, and nothing but plain files."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from galaxy_adapters._files.errors import storage_errors
from galaxy_core.domain.errors import UnreadableFile


def read_plain_file(path: Path, *, limit: int) -> tuple[bytes, os.stat_result]:
    """Read a file of at most `limit` bytes, and say which one it was.

    Follows no symbolic link and never waits (for the other end of a pipe, say).  Raises
    `UnreadableFile` for what is no plain file or is too large, `OSError` as `open` does.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFile(f"{path.name} is {_kind(found.st_mode)} and not a file.")
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        opened = os.fstat(fd)
        if not stat.S_ISREG(opened.st_mode):  # exchanged since
            raise UnreadableFile(f"{path.name} is {_kind(opened.st_mode)} and not a file.")
        # Its size may grow while it is read: what was read is what counts.
        parts, left = [], 0 if opened.st_size > limit else limit + 1
        while left and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        if not left:
            raise UnreadableFile(
                f"{path.name} is larger than {limit:,} bytes: put its content elsewhere and "
                "name the file."
            )
        return b"".join(parts), opened
    finally:
        os.close(fd)


def plain_files(folder: Path) -> Sequence[str]:
    """Paths of the plain files in an order's folder, sorted; hidden ones are left out.

    Nothing where a link leads to it, or to one of the two folders above it: files would be found
    that belong to something else.  Raises `StorageUnavailable`.
    """
    if any(each.is_symlink() for each in (folder.parent.parent, folder.parent, folder)):
        return ()
    with storage_errors("read", folder):
        try:
            with os.scandir(folder) as entries:
                names = [
                    entry.name
                    for entry in entries
                    if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
                ]
        except (FileNotFoundError, NotADirectoryError):
            return ()
    return tuple(str(folder / name) for name in sorted(names))


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a symbolic link"
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a pipe, socket or device"
