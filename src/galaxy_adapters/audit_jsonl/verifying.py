"""Checking the whole chain, forwards, with constant memory; blocking, without an event loop."""

from __future__ import annotations

import fcntl
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrs import define

from galaxy_adapters._plain_file import open_plain_file
from galaxy_adapters.audit_jsonl._line import GENESIS, Head, read_link, read_members
from galaxy_adapters.audit_jsonl._parts import DIGEST, THROUGH, Note, Trail, close_all, lines_from
from galaxy_adapters.audit_jsonl._walk import Walk
from galaxy_adapters.audit_jsonl.reading import lines_backwards
from galaxy_core.domain.audit import AuditType, ChainReport
from galaxy_core.domain.tidying import OldKind

__all__ = ["verify_chain", "verify_newest"]

_LOCK_WAIT_S = 1.0
_REMOVED = AuditType.CLEANED_UP.encode()


def verify_chain(path: Path, *, anchors: Sequence[str] = ()) -> ChainReport:
    """Check every line of the trail whose growing part is `path`, as it stands at this moment.

    `anchors` are digests that were written down elsewhere, each behind the number of its line and a
    space where that is known: each must be found in the chain.  One with the number of a line that
    was removed, on record, is only told of.
    Raises `OSError` when a part cannot be read.
    """
    with _snapshot(path) as (parts, sizes, note):
        return _verify(parts, sizes, note, anchors)


@contextmanager
def _snapshot(path: Path) -> Iterator[tuple[list[tuple[str, BinaryIO]], list[int], Note | None]]:
    """The trail at one moment: its parts, open, how large they are then, and the note beside it."""
    trail = Trail(path)
    with _writers_held_off(trail.lock):
        note = trail.read_note()
        parts = trail.open_all()
        sizes = [os.fstat(file.fileno()).st_size for _, file in parts]
    try:
        yield parts, sizes, note
    finally:
        close_all(parts)


def _removed(parts: list[tuple[str, BinaryIO]]) -> Head | None:
    """The last line of a beginning that was removed and whose removal a later line tells."""
    head = _line_before(parts)
    if head is None:
        return None
    for _, file in parts:
        for line in lines_from(file.fileno(), 0):
            if _REMOVED in line and _tells_of(line, head):
                return head
    return None


def _line_before(parts: list[tuple[str, BinaryIO]]) -> Head | None:
    """The line before the first one that is there, as that one knows it; None: there is none."""
    for _, file in parts:
        for line in lines_from(file.fileno(), 0):
            link = read_link(line.removesuffix(b"\n"))
            if link is None:
                continue  # of the original system, or torn
            if link.sequence <= 1 or not link.is_true:
                return None
            return Head(link.sequence - 1, link.previous)
    return None


def _tells_of(line: bytes, head: Head) -> bool:
    members, link = read_members(line) or {}, read_link(line.removesuffix(b"\n"))
    through = members.get(THROUGH)
    return (
        link is not None
        and link.is_true
        and members.get("event_type") == AuditType.CLEANED_UP
        and members.get("kind") == OldKind.AUDIT
        and isinstance(through, int)
        # Where more was meant to go than is gone, the removal was cut short.
        and (
            through > head.sequence
            or (through, members.get(DIGEST)) == (head.sequence, head.digest)
        )
    )


@define
class _Sought:
    """Digests that must turn up in the chain."""

    missing: set[str]
    note: Note | None
    digest_at_note: str | None = None

    def look_at(self, walk: Walk) -> None:
        head = walk.head
        if head is None:
            return
        if self.missing:
            self.missing.discard(head.digest)
        if self.note is not None and head.sequence == self.note.head.sequence:
            self.digest_at_note = head.digest


def _verify(
    parts: list[tuple[str, BinaryIO]],
    sizes: list[int],
    note: Note | None,
    anchors: Sequence[str],
) -> ChainReport:
    removed = _removed(parts)
    walk = Walk(removed or GENESIS)
    missing, gone = _to_find(anchors, removed)
    sought = _Sought(missing, note)
    for (name, file), size in zip(parts, sizes, strict=True):
        walk.begin_file(name)
        left = size
        for line in lines_from(file.fileno(), 0):
            if left <= 0:
                break
            walk.feed(line[:left])
            left -= len(line)
            sought.look_at(walk)
    walk.close()
    if removed is not None:
        walk.notes.add(
            f"numbers 1 to {removed.sequence} are not there: they were removed on a person's"
            " order, as a later line says"
        )
    if gone:
        walk.notes.add(f"{gone} of the digests that were written down are of removed lines")
    _report_missing_end(walk, sought)
    is_empty = walk.head is None or walk.head == GENESIS
    return ChainReport(
        is_intact=walk.faults.count == 0,
        lines=walk.lines,
        head=None if is_empty or walk.head is None else walk.head.digest,
        faults=walk.faults.sentences(),
        unchained=walk.unchained,
        notes=walk.notes.sentences(),
    )


def _to_find(anchors: Sequence[str], removed: Head | None) -> tuple[set[str], int]:
    """The digests that must be in what is left, and how many are of lines before that."""
    missing, gone = set(), 0
    for anchor in anchors:
        number, _, digest = anchor.strip().lower().rpartition(" ")
        sequence = int(number) if number.isdecimal() else None
        if removed is None or sequence is None or sequence > removed.sequence:
            missing.add(digest)
        elif sequence < removed.sequence:
            gone += 1
        elif digest != removed.digest:
            missing.add(digest)
    return missing, gone


def _report_missing_end(walk: Walk, sought: _Sought) -> None:
    """Add faults for digests that ought to be in the chain and are not."""
    head = walk.head or GENESIS
    place = walk.place if walk.file else "the trail"
    if sought.note is not None:
        on_record = sought.note.head
        if head.sequence < on_record.sequence:
            walk.faults.add(
                f"{place}: the end was cut off: the trail ends with number {head.sequence},"
                f" number {on_record.sequence} had been written"
            )
        elif sought.digest_at_note not in (None, on_record.digest):
            walk.faults.add(
                f"{place}: number {on_record.sequence} is not the line that was written under"
                " this number: the chain was made anew from there or before"
            )
    for anchor in sorted(sought.missing):
        walk.faults.add(
            f"{place}: no line has the digest {anchor} that was written down:"
            " the end was cut off, or the chain was made anew"
        )


@contextmanager
def _writers_held_off(lock: Path) -> Iterator[None]:
    """Keep writers out for a moment, so that no half-written line is seen, where that is possible.

    A reader may lack the right to open the lock, or a writer may be stopped in the middle: then
    the check goes on without, and may note a torn line that is not torn a moment later.
    """
    try:
        fd = open_plain_file(lock)
    except OSError:
        yield
        return
    try:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while time.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.001)
        yield
    finally:
        os.close(fd)


def verify_newest(path: Path, *, lines: int = 200) -> ChainReport:
    """Check the newest lines of the newest part, and that they reach as far as was written.

    Costs the same however long the trail is.  Raises `OSError` when it cannot be read.
    """
    with _snapshot(path) as (parts, sizes, note):
        walk = Walk(None)
        sought = _Sought(set(), note)
        if parts:
            name, file = parts[-1]
            walk.begin_file(name)
            for line in _last_lines(file, sizes[-1], lines):
                walk.feed(line)
                sought.look_at(walk)
        walk.close()
        _report_missing_end(walk, sought)
    return ChainReport(
        is_intact=walk.faults.count == 0,
        lines=walk.lines,
        head=None if walk.head is None else walk.head.digest,
        faults=walk.faults.sentences(),
        unchained=walk.unchained,
        notes=walk.notes.sentences(),
    )


def _last_lines(file: BinaryIO, size: int, number: int) -> list[bytes]:
    """The last lines, oldest first, each with its line break; a torn end has none."""
    backwards = lines_backwards(file.fileno(), size)
    torn = next(backwards, b"")
    newest = [line + b"\n" for line in itertools.islice(backwards, number)]
    return [*reversed(newest), *([torn] if torn else [])]
