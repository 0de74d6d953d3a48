"""The lock that writers of one trail take in turns, and the note that they leave in it."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from datetime import timedelta
from pathlib import Path

from galaxy_adapters._plain_file import open_plain_file
from galaxy_adapters.audit_jsonl._parts import NOTE_BYTES, Note

_FIRST_PAUSE_S = 0.0002
_LONGEST_PAUSE_S = 0.02


class WriterLock:
    """A kernel lock (`flock`): any death of its holder frees it."""

    def __init__(self, path: Path, *, timeout: timedelta) -> None:
        self._path = os.fspath(path)
        self._timeout_s = timeout.total_seconds()
        self._fd: int | None = None
        self._identity = (0, 0)

    def acquire(self) -> None:
        """Hold the lock; raises `TimeoutError` when another process will not let it go."""
        deadline = 0.0
        pause = _FIRST_PAUSE_S
        while True:
            fd = self._open()
            try:
                # Not the blocking form: a holder that was stopped (SIGSTOP, a debugger) would
                # hold up every order of this process too, without a word.
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                deadline = deadline or time.monotonic() + self._timeout_s
                self._pause(pause, deadline)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if self._is_still_in_place():
                return
            # Somebody deleted the file: a lock on it excludes nobody any more.
            self.close()

    def release(self) -> None:
        """Let it go.  Safe when it is not held."""
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def read_note(self) -> Note | None:
        """What the last writer left; only while the lock is held."""
        return Note.from_bytes(os.pread(self._open(), NOTE_BYTES, 0))

    def leave_note(self, note: Note) -> None:
        """Replace the note; a full disk does not matter, it is a hint."""
        try:
            os.pwrite(self._open(), note.to_bytes(), 0)
        except OSError:
            return

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> int:
        if self._fd is None:
            self._fd = open_plain_file(self._path, os.O_RDWR | os.O_CREAT, mode=0o640)
            stat = os.fstat(self._fd)
            self._identity = (stat.st_dev, stat.st_ino)
        return self._fd

    def _is_still_in_place(self) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == self._identity

    def _pause(self, seconds: float, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise TimeoutError(
                errno.ETIMEDOUT,
                f"another process has held {self._path} for {self._timeout_s:g} seconds",
            )
        time.sleep(seconds)
