"""A worker's life: a kernel lock that any death releases, and a beat that a frozen one misses.

Pid and start time in the file are for people; nothing is decided by them.  Names are never used
twice, so a lock file that is not locked belongs to nobody any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from attrs import define, field

from galaxy_adapters._files import storage_errors

_BEAT_BYTES = 16
_LOCK_ENDING = ".lock"


@define(eq=False)
class WorkerLife:
    """Our own lock file, held until `end` or death."""

    folder: str
    scratch: str
    name: str = field(factory=lambda: f"{os.getpid():x}-{os.urandom(5).hex()}")
    path: str = field(init=False)
    """The lock file."""
    _fd: int = field(default=-1, init=False)
    _beats: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.path = os.path.join(self.folder, self.name + _LOCK_ENDING)

    def begin(self) -> None:
        """Appear as a living worker.  Raises `StorageUnavailable`."""
        fresh = os.path.join(self.scratch, f".tmp-{self.name}{_LOCK_ENDING}")
        with storage_errors("write", fresh):
            # Not inherited by children (Python's default): an agent that outlives us must not
            # keep the lock.  Locked before it has its name: an unlocked one is taken for dead.
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.write(fd, b"%016d\n" % self._beats + _description().encode())
                os.rename(fresh, self.path)
            except OSError:
                os.close(fd)
                with contextlib.suppress(OSError):
                    os.unlink(fresh)
                raise
        self.abandon()
        self._fd = fd

    def beat(self) -> None:
        """Show that we are not frozen."""
        self._beats += 1
        with storage_errors("write", self.path):
            if os.fstat(self._fd).st_nlink:
                os.pwrite(self._fd, b"%016d" % self._beats, 0)
                return
        self.begin()

    def restore(self) -> None:
        """Make the lock file anew if somebody removed it."""
        with storage_errors("write", self.path):
            if os.fstat(self._fd).st_nlink:
                return
        self.begin()

    def end(self) -> None:
        """Disappear.  Safe twice."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.abandon()

    def abandon(self) -> None:
        """Release the lock and leave the file, as a death does."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@define(eq=False)
class Observer:
    """Finds out which other workers are gone: dead, or silent for longer than the lease."""

    folder: str
    lease_seconds: float
    _last: dict[str, tuple[bytes, float]] = field(factory=dict, init=False)
    """Worker -> its last beat, and the monotonic second at which we first saw that beat."""

    def is_gone(self, worker: str, now: float) -> bool:
        """Whether its claims may be taken over; `now` is monotonic.

        A frozen worker is found by having seen the same beat for the whole lease time ourselves:
        nobody's time of day counts.
        """
        path = os.path.join(self.folder, worker + _LOCK_ENDING)
        try:
            # For reading only: closing it then tells nobody that a worker died.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self._last.pop(worker, None)
            return True
        try:
            if _is_unlocked(fd):
                self._last.pop(worker, None)
                return True
            beat = os.pread(fd, _BEAT_BYTES, 0)
        finally:
            os.close(fd)
        known = self._last.get(worker)
        if known is None or known[0] != beat:
            self._last[worker] = (beat, now)
            return False
        return now - known[1] >= self.lease_seconds

    def remove_dead(self, *, keep: frozenset[str]) -> None:
        """Remove lock files of dead workers, except of those in `keep`, which still hold orders."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                worker = entry.name.removesuffix(_LOCK_ENDING)
                if entry.name.endswith(_LOCK_ENDING) and worker not in keep:
                    with contextlib.suppress(OSError):
                        self._remove_if_dead(entry.path)

    @staticmethod
    def _remove_if_dead(path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _is_unlocked(fd):
                os.unlink(path)
        finally:
            os.close(fd)


def _is_unlocked(fd: int) -> bool:
    """Whether nobody holds the lock; several may ask at once without fooling each other."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _description() -> str:
    boot = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return f"pid {os.getpid()}, since {started}, boot {boot}\n"
