"""The growing end of the trail, followed from part to part."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from galaxy_adapters.audit_jsonl._parts import MAX_LINE_BYTES, Trail, close_all
from galaxy_adapters.audit_jsonl.reading import lines_backwards, search
from galaxy_core.domain.audit import AuditQuery, AuditRecord

_BLOCK = 1 << 18


class Tail:
    """Reads what is added after `start`: every whole line once, over rotations too."""

    def __init__(self, path: Path) -> None:
        self._trail = Trail(path)
        self._file: BinaryIO | None = None
        self._offset = 0
        self._rest = b""
        """The beginning of a line whose end is not there yet; it stands before `_offset`."""

    def start(self, query: AuditQuery) -> list[AuditRecord]:
        """Answer the query, and begin just behind the newest whole line that it saw."""
        parts = self._trail.open_all()
        try:
            ends = [os.fstat(file.fileno()).st_size for _, file in parts]
            if parts:
                newest = parts[-1][1].fileno()
                ends[-1] -= len(next(lines_backwards(newest, ends[-1]), b""))
                self._offset = ends[-1]
            files = [file for _, file in parts]
            records = search(list(zip(files, ends, strict=True)), query)
            if parts:
                self._file = parts.pop()[1]
            return records
        finally:
            close_all(parts)

    def take(self) -> list[bytes]:
        """Some of the new lines, without their line breaks; empty when there are none (yet)."""
        if self._file is None and not self._go_on():
            return []
        while self._file is not None:
            # Asked before reading: once it is put aside, nothing more is written to a part.
            is_finished = not self._is_growing(self._file)
            block = os.pread(self._file.fileno(), _BLOCK, self._offset)
            self._offset += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            if len(self._rest) > MAX_LINE_BYTES:
                self._rest = b""
            if lines:
                return lines
            if not block and not (is_finished and self._go_on()):
                return []
        return []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _is_growing(self, file: BinaryIO) -> bool:
        try:
            there = os.stat(self._trail.path)
        except FileNotFoundError:
            return False
        here = os.fstat(file.fileno())
        if not os.path.samestat(there, here):
            return False
        if here.st_size < self._offset:  # emptied by somebody: what follows is new
            self._offset, self._rest = 0, b""
        return True

    def _go_on(self) -> bool:
        """Turn to the part after this one; False when there is none."""
        parts = self._trail.open_all()
        here = self._file
        place = 0
        if here is not None:
            places = [
                number
                for number, (_, file) in enumerate(parts)
                if os.path.sameopenfile(file.fileno(), here.fileno())
            ]
            # A part that was removed while we read it: the growing one is all that is left.
            place = places[0] + 1 if places else len(parts) - 1
        if not 0 <= place < len(parts):
            close_all(parts)
            return False
        self.close()
        _, self._file = parts.pop(place)
        close_all(parts)
        self._offset, self._rest = 0, b""
        return True
