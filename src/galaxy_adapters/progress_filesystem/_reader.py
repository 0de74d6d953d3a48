"""The reading end of one order's feed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from galaxy_adapters.progress_filesystem._lines import Line, decode

_BLOCK = 1 << 16


class FeedReader:
    """Reads lines as they are added, and notices when the file goes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._rest = b""
        self._number = 0

    def take(self) -> list[Line] | None:
        """Some of the new lines in order; None when there are none now."""
        fd = self._open()
        if fd is None:
            return None
        block = os.read(fd, _BLOCK)
        if not block:
            return None
        *texts, self._rest = (self._rest + block).split(b"\n")
        return list(self._new_lines(texts))

    def is_gone(self) -> bool:
        """Whether the file that was read has been removed."""
        return self._fd is not None and os.fstat(self._fd).st_nlink == 0

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _new_lines(self, texts: list[bytes]) -> Iterator[Line]:
        for text in texts:
            line = decode(text) if text else None
            # After a full disk a line may stand there twice.
            if line is not None and line.number > self._number:
                self._number = line.number
                yield line

    def _open(self) -> int | None:
        if self._fd is None:
            try:
                self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return None
        return self._fd
