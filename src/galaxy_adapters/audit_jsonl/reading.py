"""Reading the trail from its end; blocking, and without an event loop, so that it starts fast."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from galaxy_adapters.audit_jsonl._line import has_link, read_record
from galaxy_adapters.audit_jsonl._parts import MAX_LINE_BYTES, Trail, close_all
from galaxy_core.domain.audit import AuditQuery, AuditRecord, AuditSeverity

__all__ = ["read_newest"]

_BLOCK = 1 << 16
_OLDER_LINES_UNTIL_STOP = 1_000
"""Lines in a row that are older than `since` before the search ends.  The trail is in the order
of writing, which a clock that jumped back makes differ from the order of time."""


def read_newest(path: Path, query: AuditQuery) -> list[AuditRecord]:
    """The newest lines that match, oldest first, of the trail whose growing part is `path`.

    Reads backwards in blocks, over all parts, until `query.limit` lines match.  Raises `OSError`
    when a part cannot be read.
    """
    parts = Trail(path).open_all()
    try:
        return search([(file, os.fstat(file.fileno()).st_size) for _, file in parts], query)
    finally:
        close_all(parts)


def search(parts: Sequence[tuple[BinaryIO, int]], query: AuditQuery) -> list[AuditRecord]:
    """The newest lines that match, oldest first, each part being read up to the byte given."""
    found: deque[AuditRecord] = deque()
    if query.limit is not None and query.limit <= 0:
        return []
    matcher = Matcher(query)
    for file, end in reversed(parts):
        for line in lines_backwards(file.fileno(), end):
            record = matcher.match(line)
            if record is not None:
                found.appendleft(record)
                if len(found) == query.limit:
                    return list(found)
            if matcher.is_past_since:
                return list(found)
    return list(found)


class Matcher:
    """Tells which lines a query wants, and looks into as few of them as it can."""

    def __init__(self, query: AuditQuery) -> None:
        self._query = query
        self._needles = [
            json.dumps(word).encode()
            for word in (query.event_type, query.order_id)
            if word is not None and word.isascii()
        ]
        wanted = query.severities or frozenset(AuditSeverity)
        if query.severity is not None:
            wanted = frozenset({query.severity})
        self._own_needles = (
            [b'"severity":"%b"' % each.value.encode() for each in wanted]
            if len(wanted) < len(AuditSeverity)
            else [b""]
        )
        self._older_in_a_row = 0

    @property
    def is_past_since(self) -> bool:
        """Whether going on backwards makes no sense any more."""
        return self._older_in_a_row >= _OLDER_LINES_UNTIL_STOP

    def match(self, line: bytes) -> AuditRecord | None:
        """The record in a line when it is wanted; None when it is not, or is no record at all."""
        since = self._query.since
        if since is None and not self._is_worth_reading(line):
            return None
        record = read_record(line)
        if record is None:
            return None
        if since is not None:
            self._note_age(record.event.timestamp, since)
        return record if self._query.matches(record.event) else None

    def _is_worth_reading(self, line: bytes) -> bool:
        if any(needle not in line for needle in self._needles):
            return False
        # Lines of others spell severities as they like; ours do not.
        is_like_ours = any(needle in line for needle in self._own_needles)
        return is_like_ours or not has_link(line.rstrip(b"\n"))

    def _note_age(self, timestamp: datetime, since: datetime) -> None:
        self._older_in_a_row = self._older_in_a_row + 1 if timestamp < since else 0


def lines_backwards(fd: int, end: int) -> Iterator[bytes]:
    """Lines before byte `end`, the last one first, without their line breaks.

    A line longer than `MAX_LINE_BYTES` comes in pieces: memory does not grow with a file that
    has no line breaks.
    """
    pieces: list[bytes] = []  # of the line that is not complete yet, its end first
    size = 0
    while end > 0:
        start = max(0, end - _BLOCK)
        block = os.pread(fd, end - start, start)
        if not block:  # cut off by somebody while we read
            return
        end = start
        first, *others = block.split(b"\n")
        if others:
            pieces.append(others.pop())
            yield b"".join(reversed(pieces))
            yield from reversed(others)
            pieces, size = [first], len(first)
            continue
        pieces.append(first)
        size += len(first)
        if size > MAX_LINE_BYTES:
            yield b"".join(reversed(pieces))
            pieces, size = [], 0
    if pieces:
        yield b"".join(reversed(pieces))
