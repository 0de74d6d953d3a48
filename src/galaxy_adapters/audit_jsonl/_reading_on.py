"""Reading the trail piece by piece, by a mark that a reader may keep over restarts.

A mark names the part by the digest of its beginning (files may be renamed, copied, restored), the
byte behind the last line that was read, and that line: its length, digest, and place in the chain.
When the bytes there are no longer that line, the trail was replaced, or a writer took back what
it could not sync: either way the reader has seen what is not true any more.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from galaxy_adapters.audit_jsonl._line import GENESIS, Head, read_link, read_record
from galaxy_adapters.audit_jsonl._parts import MAX_LINE_BYTES, Trail, close_all, lines_from
from galaxy_core.domain.audit import AuditRecord, TrailPiece
from galaxy_core.domain.errors import TrailReplaced

__all__ = ["read_on"]

_BEGINNING_BYTES = 1 << 12
_MARK = re.compile(r"([0-9a-f]{32}) (\d+) (\d+) ([0-9a-f]{32}) (\d+) ([0-9a-f]{64})")


@frozen
class _Mark:
    part: str
    """Digest of the part's beginning."""
    end: int
    """The byte behind the last line that was read."""
    length: int
    """Of that line, its line break included."""
    line: str
    """Digest of it."""
    head: Head
    """The newest line of the chain so far."""

    def __str__(self) -> str:
        place = f"{self.part} {self.end} {self.length} {self.line}"
        return f"{place} {self.head.sequence} {self.head.digest}"

    @classmethod
    def parse(cls, text: str) -> _Mark:
        match = _MARK.fullmatch(text)
        if match is None:
            raise TrailReplaced("This mark is not one of this trail.")
        part, end, length, line, sequence, digest = match.groups()
        return cls(part, int(end), int(length), line, Head(int(sequence), digest))


def read_on(path: Path, text: str | None, limit: int) -> TrailPiece:
    """See `AuditTrail.read_on`.  Raises `OSError`, `TrailReplaced`."""
    mark = None if text is None else _Mark.parse(text)
    parts = Trail(path).open_all()
    try:
        files = [file for _, file in parts]
        place, offset = (0, 0) if mark is None else _find(files, mark)
        records: list[AuditRecord] = []
        is_at_end = True
        for file in files[place:]:
            mark, is_at_end = _take(file, offset, mark, records, limit)
            if not is_at_end:
                break
            offset = 0
        kept = None if mark is None else str(mark)
        return TrailPiece(records=tuple(records), mark=kept, is_at_end=is_at_end)
    finally:
        close_all(parts)


def _find(files: list[BinaryIO], mark: _Mark) -> tuple[int, int]:
    """Where to read on: number of the part, and byte in it.  Raises `TrailReplaced`."""
    for number in reversed(range(len(files))):
        fd = files[number].fileno()
        if mark.end <= os.fstat(fd).st_size and _beginning(fd) == mark.part:
            line = os.pread(fd, mark.length, mark.end - mark.length)
            if _short(line) == mark.line:
                return number, mark.end
    if files and mark.head != GENESIS:
        first = next(lines_from(files[0].fileno(), 0), b"")
        link = read_link(first.rstrip(b"\n"))
        if link is not None and link.continues(mark.head):
            return 0, 0  # the part was read to its end, and moved away
    raise TrailReplaced("The audit trail is not the one that was read before.")


def _take(
    file: BinaryIO, offset: int, mark: _Mark | None, records: list[AuditRecord], limit: int
) -> tuple[_Mark | None, bool]:
    """Read whole lines of one part; the mark behind them, and whether there are no more."""
    head = mark.head if mark is not None else GENESIS
    newest, is_finished = b"", True
    for line in lines_from(file.fileno(), offset):
        if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
            break  # it is being written at this moment
        if len(records) >= limit:
            is_finished = False
            break
        offset += len(line)
        newest = line
        record = read_record(line)
        if record is None:
            continue
        records.append(record)
        if record.sequence is not None and record.digest is not None:
            head = Head(record.sequence, record.digest)
    if newest:
        fd = file.fileno()
        mark = _Mark(_beginning(fd), offset, len(newest), _short(newest), head)
    return mark, is_finished


def _beginning(fd: int) -> str:
    """Digest of a part's first line, or of what of it is looked at."""
    return _short(os.pread(fd, _BEGINNING_BYTES, 0).split(b"\n", 1)[0])


def _short(data: bytes) -> str:
    return sha256(data).hexdigest()[:32]
