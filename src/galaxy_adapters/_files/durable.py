"""Writes that are whole or absent, and survive a power cut when they say so.

The one way to put a file in its place: write a scratch file, sync it, rename or link it to its
name, sync the folder.  Where the disk commits names in order (`commit_order`), the content is only
written out before the rename, and the file synced after it: both syncs then share one commit.
Either way the name is never there, on the disk either, without the content.  A process that dies
in the middle leaves a scratch file whose name begins with a dot; nobody reads those, and
`sweep_scratch` removes them once they are an hour old.

A sync that failed is never tried again on the same file: the kernel marks the lost pages clean,
so a second sync would succeed and prove nothing.  The scratch file is dropped and the caller told.
Where content was written out before the rename, a sync that fails after it leaves the name, as a
failed sync of the folder does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from galaxy_adapters._files.commit_order import commits_in_order
from galaxy_adapters._files.errors import storage_errors
from galaxy_adapters._files.rename import rename_exclusively
from galaxy_adapters._files.writeback import can_write_out, start_writing_back, write_out

SCRATCH_PREFIX = ".tmp-"
SCRATCH_LIFE = timedelta(hours=1)
"""Older scratch files belong to nobody: a write takes seconds, and a slow disk gets its minutes."""

# The random part keeps apart two processes that share a folder but not a process table
# (containers).
_serial = itertools.count(1)
_run = os.urandom(4).hex()


def write_durably(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o600,
    scratch: Path | None = None,
    modified_ns: int | None = None,
) -> None:
    """Replace `path` with `data`: old or new, never torn, and new for good when this returns.

    `scratch` is the folder for the unfinished file, on the same file system; by default that of
    `path`.  `modified_ns` becomes the file's time of change.  Blocks for two disk syncs.
    Raises `StorageUnavailable`; the old file then stands, or the new one does: the caller does not
    know which.
    """

    def replace(name: str) -> bool:
        os.rename(name, path)
        return True

    with storage_errors("write", path):
        _put(replace, scratch or path.parent, data, mode=mode, modified_ns=modified_ns)
        sync_directory(path.parent)


def create_durably(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o600,
    scratch: Path | None = None,
    modified_ns: int | None = None,
) -> bool:
    """Make `path` with `data` unless it exists; False when it does, which is left as it is.

    Of several who try at once, exactly one gets True.  `modified_ns` sets the file's time of
    change before it becomes visible.  Blocks for two disk syncs.  Raises `StorageUnavailable`;
    the file may exist then all the same.
    """
    if not create_named(path, data, mode=mode, scratch=scratch, modified_ns=modified_ns):
        return False
    sync_directory(path.parent)
    return True


def create_named(
    path: str | Path,
    data: bytes,
    *,
    mode: int = 0o600,
    scratch: str | Path | None = None,
    modified_ns: int | None = None,
) -> bool:
    """Do as `create_durably` does, but leave the sync of the folder to the caller.

    The content is on the disk whenever the name is, so many files of one folder can share one
    sync of it.
    """

    def create(name: str) -> bool:
        return rename_exclusively(name, os.fspath(path))

    with storage_errors("write", path):
        folder = scratch or os.path.dirname(path)
        return _put(create, folder, data, mode=mode, modified_ns=modified_ns)


class Publication:
    """A new file that is visible at once, and durable after `sync` and a sync of its folder.

    The name comes before the syncs, so that one commit of a file system's journal carries both
    content and name; that halves the time.  Hence a reader may see the file before it is for
    good, and a power cut before that may leave it torn or empty: for files that are checked when
    read, and not answered for until both syncs are done.  Errors are `OSError`.
    """

    def __init__(self, path: str, data: bytes, *, scratch: str, modified_ns: int) -> None:
        self.path = path
        self._data = data
        self._scratch = scratch
        self._modified_ns = modified_ns
        self._fd = -1
        self.size = len(data)
        self.inode = 0

    def begin(self) -> bool:
        """Give the file its name; False, with nothing done, when another file has that."""
        name, self._fd = _open_scratch(self._scratch, 0o600)
        is_begun = False
        try:
            with _dropped_on_error(name):
                write_all(self._fd, self._data)
                os.utime(self._fd, ns=(self._modified_ns, self._modified_ns))
                self.inode = os.fstat(self._fd).st_ino
                is_begun = rename_exclusively(name, self.path)
                if not is_begun:
                    os.unlink(name)
        finally:
            if not is_begun:
                self._close()
        return is_begun

    def start_writing_back(self) -> None:
        """Have the content on its way to the disk, without waiting: for many files at once."""
        start_writing_back(self._fd)

    def sync(self) -> None:
        """Wait until the content is on the disk; if it cannot be, the file is taken back."""
        try:
            sync_file(self._fd)
        except OSError:
            # What could not be synced must not be found by who asks whether it was accepted.
            with contextlib.suppress(OSError):
                found = os.stat(self.path, follow_symlinks=False)
                if found.st_ino == os.fstat(self._fd).st_ino:  # else it was moved on
                    os.unlink(self.path)
            raise
        finally:
            self._close()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1


def replace_atomically(
    path: Path, data: bytes, *, mode: int = 0o600, scratch: Path | None = None
) -> None:
    """Replace `path` with `data`, seen whole by every reader; a power cut may undo it.

    Raises `StorageUnavailable`.
    """
    with storage_errors("write", path):
        name, fd = _open_scratch(scratch or path.parent, mode)
        with _dropped_on_error(name):
            try:
                write_all(fd, data)
            finally:
                os.close(fd)
            os.rename(name, path)


def sync_directory(path: str | Path) -> None:
    """Make the names in a folder survive a power cut.  Raises `StorageUnavailable`."""
    # Opened each time: a descriptor kept open goes on "syncing" a folder that was removed.
    with storage_errors("sync", path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync_file(fd)
        finally:
            os.close(fd)


def make_durable_folder(path: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it; each new one survives a power cut.  Safe twice."""
    missing = [p for p in (path, *path.parents) if not p.is_dir()]
    with storage_errors("make the folder", path):
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):
                os.mkdir(folder, mode)
            sync_directory(folder.parent)


def sync_file(fd: int) -> None:
    """Wait until the file's content is on the disk itself."""
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:  # macOS: fsync() leaves the data in the drive's cache
        fcntl.fcntl(fd, full_sync)
    else:
        os.fsync(fd)


def sync_data(fd: int) -> None:
    """Wait until the content is on the disk, and whatever is needed to read it; not its times."""
    sync = getattr(os, "fdatasync", None)  # macOS has none
    if sync is not None and not hasattr(fcntl, "F_FULLFSYNC"):
        sync(fd)
    else:
        sync_file(fd)


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`; a short write is an error, as the disk is full then."""
    written = os.write(fd, data)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were written")


def sweep_scratch(folder: Path, *, older_than: timedelta = SCRATCH_LIFE) -> int:
    """Remove what dead writers left in `folder`, unfinished folders too; returns how many.

    Safe beside live ones.
    """
    oldest = time.time() - older_than.total_seconds()
    swept = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(SCRATCH_PREFIX):
                continue
            with contextlib.suppress(OSError):  # gone already, or not ours: the next sweep asks
                # Not the time of modification: a writer may set that to whatever it likes while
                # it is still at work.
                if entry.stat(follow_symlinks=False).st_ctime < oldest:
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path)
                    else:
                        os.unlink(entry.path)
                    swept += 1
    return swept


def _put(
    give_name: Callable[[str], bool],
    folder: str | Path,
    data: bytes,
    *,
    mode: int,
    modified_ns: int | None,
) -> bool:
    """Write a scratch file, have it named, with its content synced; False when it got no name.

    `give_name` renames it, or answers that it could not; only the folder is to be synced after
    this.  Nothing is left of the scratch file, also after an error.
    """
    name, fd = _open_scratch(folder, mode)
    try:
        with _dropped_on_error(name):
            is_ordered = can_write_out() and commits_in_order(fd)
            write_all(fd, data)
            if modified_ns is not None:
                os.utime(fd, ns=(modified_ns, modified_ns))
            is_ordered = is_ordered and write_out(fd)
            if not is_ordered:
                sync_file(fd)
            if not give_name(name):
                os.unlink(name)
                return False
        if is_ordered:
            # The sync of the folder would commit this as well; but that content is on the disk
            # after a sync of its file is every file system's promise.
            sync_file(fd)
    finally:
        os.close(fd)
    return True


def _open_scratch(folder: str | Path, mode: int) -> tuple[str, int]:
    name = f"{folder}/{SCRATCH_PREFIX}{os.getpid()}-{_run}-{next(_serial)}"
    return name, os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)


@contextlib.contextmanager
def _dropped_on_error(name: str) -> Iterator[str]:
    """Remove the scratch file when the block fails; the failure goes on."""
    try:
        yield name
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
