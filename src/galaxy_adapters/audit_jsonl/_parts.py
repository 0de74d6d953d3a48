"""The files of one trail: the part that grows, and those that were put aside full.

    logs/galaxy-audit.jsonl                                    grows
    logs/galaxy-audit-20260202T120000Z-000000012345.jsonl      full; its last line is number 12345
    logs/galaxy-audit.jsonl.head                               lock of the writers, and their note

The note says how far the trail had been synced when it was written.  It is a hint (never synced
itself, so it may be old, never ahead), but it makes a cut-off end visible without an anchor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from attrs import frozen

from galaxy_adapters._plain_file import open_plain_file
from galaxy_adapters.audit_jsonl._line import Head

_NOTE = re.compile(rb"([0-9]{20}) ([0-9a-f]{64}) ([0-9]{20})\n")
_BLOCK = 1 << 18
MAX_LINE_BYTES = 1 << 24
"""Far beyond any line of ours (`MAX_BODY_BYTES`)."""
THROUGH, DIGEST = "through", "through_digest"
"""Members of the line that says which was the last one of the parts that a person had removed."""
NOTE_BYTES = 20 + 1 + 64 + 1 + 20 + 1


@frozen
class Note:
    """What the last writer left in the lock file."""

    head: Head
    end: int
    """Size of the growing part in bytes, just after the head's line."""

    def to_bytes(self) -> bytes:
        """One line of a fixed length, so that it is overwritten whole."""
        return b"%020d %b %020d\n" % (self.head.sequence, self.head.digest.encode(), self.end)

    @classmethod
    def from_bytes(cls, data: bytes) -> Note | None:
        """Read it back; None when there is none or a power cut has torn it."""
        match = _NOTE.fullmatch(data)
        if match is None:
            return None
        return cls(Head(int(match[1]), match[2].decode()), int(match[3]))


@frozen
class Trail:
    """Where a trail lies: everything is derived from the path of its growing part."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path.with_name(self.path.name + ".head")

    def part_for(self, head: Head, at: datetime) -> Path:
        """The name for the growing part once it is full and ends with `head`."""
        time = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        return self.path.with_name(f"{self.path.stem}-{time}-{head.sequence:012d}.jsonl")

    def full_parts(self) -> list[Path]:
        """Parts that were put aside, oldest first; empty when the folder is not there."""
        name = re.compile(re.escape(self.path.stem) + r"-\d{8}T\d{6}Z-(\d{12,})\.jsonl")
        try:
            found = [
                (int(match[1]), entry)
                for entry in os.listdir(self.path.parent)
                if (match := name.fullmatch(entry))
            ]
        except FileNotFoundError:
            return []
        return [self.path.with_name(entry) for _, entry in sorted(found)]

    def read_note(self) -> Note | None:
        """The last writer's note, without a lock; None when there is none that can be read."""
        try:
            with opened(self.lock) as file:
                return Note.from_bytes(file.read(NOTE_BYTES))
        except OSError:
            return None

    def open_all(self) -> list[tuple[str, BinaryIO]]:
        """Every part with its name, oldest first, opened for reading without a buffer.

        The growing part is opened before the others are listed: when it is put aside in between,
        it is seen twice (and left out once) instead of never.
        """
        growing: BinaryIO | None = None
        parts: list[tuple[str, BinaryIO]] = []
        try:
            try:
                growing = opened(self.path)
            except FileNotFoundError:
                growing = None
            parts.extend((part.name, opened(part)) for part in self.full_parts())
        except BaseException:
            close_all(parts)
            if growing is not None:
                growing.close()
            raise
        if growing is None:
            return parts
        if parts and _is_same_file(parts[-1][1], growing):
            growing.close()
        else:
            parts.append((self.path.name, growing))
        return parts


def opened(path: Path) -> BinaryIO:
    """A file of the trail for reading, without a buffer.  Raises `OSError`; waits for no pipe."""
    return os.fdopen(open_plain_file(path), "rb", buffering=0)


def lines_from(fd: int, start: int) -> Iterator[bytes]:
    """Lines of a file from byte `start` on, with their line breaks; the last one may lack its own.

    Holds one line in memory, and never more than `MAX_LINE_BYTES` of it: a longer one comes in
    pieces, none of which is a line of the trail.
    """
    with open(fd, "rb", buffering=_BLOCK, closefd=False) as file:
        file.seek(start)
        while line := file.readline(MAX_LINE_BYTES):
            yield line


def close_all(parts: list[tuple[str, BinaryIO]]) -> None:
    """Close what `Trail.open_all` opened."""
    for _, file in parts:
        file.close()


def _is_same_file(one: BinaryIO, other: BinaryIO) -> bool:
    return os.path.sameopenfile(one.fileno(), other.fileno())
