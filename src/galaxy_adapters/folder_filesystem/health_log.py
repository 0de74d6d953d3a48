"""Adding to the health log; when it is full, it is put aside in place of the one before."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from galaxy_adapters._files import storage_errors
from galaxy_adapters._plain_file import open_plain_file

MAX_BYTES = 1 << 20
"""Some three weeks of looks, each five minutes; two files are kept."""


def append_to_health_log(path: Path, lines: Sequence[str], *, max_bytes: int = MAX_BYTES) -> None:
    """Add lines, not durably: losing some costs nothing.  Raises `StorageUnavailable`."""
    with storage_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > max_bytes:
            path.replace(path.with_name(path.name + ".1"))
        # In one call, so that two that look at the same moment do not mix their lines.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with os.fdopen(open_plain_file(path, flags, mode=0o666), "ab") as log:
            log.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
