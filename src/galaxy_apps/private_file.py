"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def create_private(path: Path, content: str) -> None:
    """Write a new file, durably; raises `FileExistsError` where there is one."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    with _written(path, content) as scratch:
        path.hardlink_to(scratch)


def replace_private(path: Path, content: str) -> None:
    """Write the file anew; whoever reads it meanwhile sees the old one or the new one."""
    # Through a link the file it leads to is replaced, not the link.
    target = path.resolve()
    with _written(target, content) as scratch:
        scratch.replace(target)


@contextmanager
def _written(path: Path, content: str) -> Iterator[Path]:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        yield scratch
    finally:
        scratch.unlink(missing_ok=True)
