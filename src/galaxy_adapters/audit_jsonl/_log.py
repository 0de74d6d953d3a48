"""Appending to the trail: one process's side of it, blocking, for one thread at a time.

Under the lock a writer (1) finds the end: usually where it stopped itself, else it walks over
what others wrote since; (2) seals what a crash or the original system left there; (3) appends
its lines in one write and syncs them; (4) leaves a note.  Killed anywhere in between, it leaves
whole lines of its own, which count, and at most one torn one, which the next writer seals.

Nothing that was ever accepted is rewritten or removed.  The only bytes taken back are those of
a write that has just failed and that nobody was told of.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from galaxy_adapters._files import (
    make_durable_folder,
    storage_unavailable,
    sync_directory,
    sync_file,
)
from galaxy_adapters._plain_file import open_plain_file
from galaxy_adapters.audit_jsonl._line import GENESIS, Head, chain, encode_body
from galaxy_adapters.audit_jsonl._lock import WriterLock
from galaxy_adapters.audit_jsonl._parts import Note, Trail, lines_from, opened
from galaxy_adapters.audit_jsonl._walk import FOREIGN_LINES, TORN_LINE, Suspects, Walk
from galaxy_core.domain.audit import AuditEvent, AuditSeverity

_ROUNDS = 5
"""How often one append seals lines that a program without our lock squeezed in meanwhile."""

# Half the work of fsync: the file's times need not be on the disk.  macOS has none.
_sync_data: Callable[[int], None] = getattr(os, "fdatasync", sync_file)


class ChainedLog:
    """The trail as one process writes it."""

    def __init__(self, path: Path, *, rotate_bytes: int | None, lock_timeout: timedelta) -> None:
        self._trail = Trail(path)
        self._path = os.fspath(path)
        self._rotate_bytes = rotate_bytes
        self._lock = WriterLock(self._trail.lock, timeout=lock_timeout)
        self._fd: int | None = None
        self._identity = (0, 0)
        self._head: Head | None = None
        """The newest line we know of; survives a failure, and then shows what went missing."""
        self._end = 0
        self._seal: Suspects | None = None
        self._lacks_newline = False
        self._is_folder_synced = False
        self._must_rotate = False

    def append(self, bodies: list[bytes], at: datetime) -> None:
        """Add lines for these events; they survive a power cut when it returns.

        `at` dates lines and names of our own.  Raises `StorageUnavailable`; then nothing of the
        events is left, unless the process dies before it can take them back.
        """
        try:
            if self._fd is None:
                make_durable_folder(self._trail.path.parent)
            self._lock.acquire()
            try:
                self._append(bodies, at)
            finally:
                self._lock.release()
        except OSError as error:
            self._close_file()
            raise storage_unavailable("write the audit trail", self._trail.path, error) from error

    def close(self) -> None:
        """Close the files; a later `append` opens them again."""
        self._close_file()
        self._lock.close()

    def _append(self, bodies: list[bytes], at: datetime) -> None:
        self._find_end()
        if self._must_rotate or (self._rotate_bytes and self._end >= self._rotate_bytes):
            self._rotate(at)
        for _ in range(_ROUNDS):
            is_undisturbed = self._write(bodies, at)
            if is_undisturbed:
                break
            bodies = []
            self._find_end(is_behind_own_write=True)
        self._lock.leave_note(Note(self._known_head, self._end))

    @property
    def _known_head(self) -> Head:
        return self._head or GENESIS

    # ---- finding the end

    def _find_end(self, *, is_behind_own_write: bool = False) -> None:
        """Afterwards `_fd`, `_end`, `_head`, `_seal` and `_lacks_newline` tell how to go on."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if self._fd is not None and (there is None or _identity(there) != self._identity):
            self._close_file()  # put aside by another writer
        if self._fd is None:
            self._fd = self._open()
            self._learn(self._fd)
        elif there is not None and there.st_size != self._end:
            start = min(self._end, there.st_size)
            self._catch_up(self._fd, start, self._head, is_own_write_in_it=is_behind_own_write)

    def _learn(self, fd: int) -> None:
        """Find the head in a file that we have not seen before."""
        note = self._lock.read_note()
        if note is not None and _has_line_ending_at(fd, note):
            self._catch_up(fd, note.end, note.head)
            return
        known = _later(note.head if note else None, self._head)
        self._catch_up(fd, 0, None)
        if self._head is None:  # an empty file, or none but the original system's lines
            self._head = self._head_of_newest_part()
        if known is not None and known.sequence > self._known_head.sequence:
            # Lines that were synced are gone: go on behind them, so that the gap shows.
            self._head, self._seal = known, None

    def _catch_up(
        self, fd: int, start: int, head: Head | None, *, is_own_write_in_it: bool = False
    ) -> None:
        """Walk from `start`, just behind the line of `head`, to the end of the file."""
        walk = Walk(head)
        last = b"\n" if start == 0 else os.pread(fd, 1, start - 1)
        end = start
        for line in lines_from(fd, start):
            walk.feed(line)
            last = line[-1:]
            end += len(line)
        self._end, self._head, self._seal = end, walk.head, None
        self._lacks_newline = last != b"\n"
        suspects = walk.suspects
        if suspects is None:
            return
        if suspects.are_leftovers and (suspects.chained == 0 or is_own_write_in_it):
            self._seal = suspects
        elif suspects.has_zeros and head is not None:
            # A power cut kept later blocks of an unsynced write and lost earlier ones: whole
            # lines may stand behind the hole, but nobody was ever told that they were written.
            # Only behind a place that we know (`head`), else a hole anywhere would do.
            self._head, self._seal = suspects.base, suspects
        # Anything else was not left by a crash: it stays as it is, for the check to name.

    def _head_of_newest_part(self) -> Head:
        for part in reversed(self._trail.full_parts()):
            with opened(part) as file:
                walk = Walk(None)
                for line in lines_from(file.fileno(), 0):
                    walk.feed(line)
            if walk.head is not None:
                return walk.head
        return GENESIS

    # ---- writing

    def _write(self, bodies: list[bytes], at: datetime) -> bool:
        """Append and sync; False when somebody wrote in between without the lock."""
        fd = self._fd
        if fd is None:
            raise OSError(errno.EBADF, "the trail is not open")
        if not self._is_folder_synced:
            sync_directory(self._trail.path.parent)  # before the lines: nothing to take back yet
            self._is_folder_synced = True
        data = b"\n" if self._lacks_newline else b""
        if self._seal is not None:
            bodies = [self._body_of_seal(self._seal, at), *bodies]
        lines, head = chain(bodies, self._known_head)
        data += lines
        self._write_whole(fd, data)
        end = os.lseek(fd, 0, os.SEEK_CUR)
        try:
            _sync_data(fd)
        except OSError:
            # The kernel may now think that the pages are clean: a second sync of this file
            # would prove nothing, so the next lines go into a new one.
            self._take_back(fd, len(data))
            self._must_rotate = True
            raise
        if end != self._end + len(data):
            return False
        self._end, self._head, self._seal, self._lacks_newline = end, head, None, False
        return True

    def _write_whole(self, fd: int, data: bytes) -> None:
        written = 0
        try:
            while written < len(data):
                written += os.write(fd, data[written:] if written else data)
        except OSError:
            self._take_back(fd, written)
            raise

    def _take_back(self, fd: int, size: int) -> None:
        """Remove our last `size` bytes, if they are the last of the file; else they are sealed.

        Unsynced, like the bytes themselves: a power cut now leaves a torn line or none.
        """
        with suppress(OSError):
            position = os.lseek(fd, 0, os.SEEK_CUR)
            if size and position - size == self._end and os.fstat(fd).st_size == position:
                os.ftruncate(fd, self._end)

    def _body_of_seal(self, seal: Suspects, at: datetime) -> bytes:
        if self._lacks_newline:
            seal.digest.update(b"\n")
            seal.size += 1
        return encode_body(
            AuditEvent(
                timestamp=at,
                event_type=TORN_LINE if seal.torn else FOREIGN_LINES,
                severity=AuditSeverity.WARNING if seal.torn else AuditSeverity.INFO,
                data={
                    "after": (seal.base or self._known_head).sequence,
                    "lines": seal.lines,
                    "bytes": seal.size,
                    "sha256": seal.digest.hexdigest(),
                },
            )
        )

    def _rotate(self, at: datetime) -> None:
        """Put the full part aside; the chain goes on in a new file.

        Killed after the rename: there is no growing part, and the next writer makes one.
        """
        if self._end == 0:
            return
        part = self._trail.part_for(self._known_head, at)
        if part.exists():
            return  # never overwritten; the part grows on and is put aside under its next number
        os.rename(self._trail.path, part)
        # The seal, if there is one, now comes first in the new part: it covers the old one's end.
        seal, head = self._seal, self._head
        self._close_file()
        self._fd = self._open()
        self._catch_up(self._fd, 0, head)
        self._seal = self._seal or seal
        self._must_rotate = False

    def _open(self) -> int:
        # Whoever created the file may have died before it synced the folder.
        self._is_folder_synced = False
        fd = open_plain_file(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode=0o640)
        self._identity = _identity(os.fstat(fd))
        return fd

    def _close_file(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _identity(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _has_line_ending_at(fd: int, note: Note) -> bool:
    ending = b'"hash":"%b"}\n' % note.head.digest.encode()
    start = note.end - len(ending)
    return start > 0 and os.pread(fd, len(ending), start) == ending


def _later(one: Head | None, other: Head | None) -> Head | None:
    if one is None or other is None:
        return one or other
    return one if one.sequence >= other.sequence else other
