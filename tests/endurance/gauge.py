"""What a process and a folder hold, as the kernel sees it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

PATIENCE_S = 10.0
_KIB = 1024


@frozen(kw_only=True)
class Holding:
    """What one process holds."""

    memory: int
    """Bytes of its own that nobody shares (`Private_Clean` and `Private_Dirty`), or resident
    ones where the kernel does not say."""
    handles: int
    threads: int
    watches: int
    """Folders and files that it has the kernel watch."""
    tasks: int = 0
    """Of its event loop; 0 where it does not say."""
    objects: int = 0
    """That Python's collector knows; 0 where it does not say."""


@frozen(kw_only=True)
class Sample:
    """Everything at one moment."""

    at_s: float
    orders: int
    """That have ended."""
    processes: dict[str, Holding]
    files: dict[str, int]
    """By folder: how many."""
    sizes: dict[str, int] = field(factory=dict)
    """By folder: bytes."""


def holding(pid: int, census: Path | None = None) -> Holding | None:
    """Look at a process; None when it is gone.  `census` is where it writes when it is asked."""
    own = _census(pid, census) if census is not None else {}
    proc = Path("/proc") / str(pid)
    try:
        handles = [handle.name for handle in (proc / "fd").iterdir()]
        status = (proc / "status").read_text("ascii", "replace")
        return Holding(
            memory=_memory(proc, status),
            handles=len(handles),
            threads=_number(status, "Threads:"),
            watches=sum(_watches(proc, handle) for handle in handles),
            tasks=int(own.get("tasks", 0)),
            objects=int(own.get("objects", 0)),
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _census(pid: int, file: Path) -> dict[str, int]:
    file.unlink(missing_ok=True)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            found = json.loads(file.read_bytes())
            return {name: found[name] for name in ("tasks", "objects")}
        time.sleep(0.02)
    return {}


def _memory(proc: Path, status: str) -> int:
    try:
        text = (proc / "smaps_rollup").read_text("ascii", "replace")
    except OSError:
        return _number(status, "VmRSS:") * _KIB
    return (_number(text, "Private_Clean:") + _number(text, "Private_Dirty:")) * _KIB


def _number(text: str, name: str) -> int:
    for line in text.splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    return 0


def _watches(proc: Path, handle: str) -> int:
    with contextlib.suppress(OSError):
        return (proc / "fdinfo" / handle).read_text("ascii", "replace").count("inotify wd:")
    return 0


def below(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder, by its path from there; what goes meanwhile is left out."""
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            with contextlib.suppress(FileNotFoundError):
                yield str(path.relative_to(folder)), path.lstat()


def weigh(folder: Path) -> tuple[int, int]:
    """How many files lie below a folder, and their bytes."""
    sizes = [found.st_size for _, found in below(folder)]
    return len(sizes), sum(sizes)
