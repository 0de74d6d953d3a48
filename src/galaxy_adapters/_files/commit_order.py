"""Whether the disk's journal commits a name only with what was written before it.

Then content that was written out before a file got its name is on the disk whenever the name is,
and one commit makes both of them durable: half the time of a sync before the name and another one
after it.  That is so on ext4 with a journal of its own on the same device, `data=ordered` (the
default) and barriers; docs/adr/0008-one-commit.md says why.  Everywhere else, and where it cannot
be told, the answer is no.
"""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from pathlib import Path

_EXT4 = Path("/proc/fs/ext4")
_JOURNALS = Path("/proc/fs/jbd2")
_DEVICES = Path("/sys/dev/block")
_REQUIRED = frozenset({"rw", "barrier", "data=ordered"})
_REFUSED = frozenset({"fc_debug_force"})
"""What ext4 shows where fast commits are on: another kind of log, with rules of its own.  Only
kernels that are built for debugging do; others show no more than what these commits have done."""
_FAST_COMMITS = re.compile(r"^[1-9][0-9]* (commits|ineligible)$", re.MULTILINE)
_FIRST_KERNEL = (5, 2)
"""Before that, waiting for `sync_file_range` could pass over pages."""


def commits_in_order(place: str | Path | int) -> bool:
    """Whether a name never survives a power cut without what was written before.

    `place` is anything on that disk: a folder, or the descriptor of an open file.

    Asked anew each minute: while we live, a disk can be unmounted, and mounted in another way.
    """
    minute = int(time.monotonic() // 60)
    return _is_ordered_device(os.stat(place).st_dev, minute)


@lru_cache(maxsize=16)
def _is_ordered_device(device: int, _minute: int) -> bool:
    return is_ordered(device)


def is_ordered(
    device: int,
    *,
    ext4: Path = _EXT4,
    journals: Path = _JOURNALS,
    devices: Path = _DEVICES,
    release: str | None = None,
) -> bool:
    """Look the device up; False where anything is missing."""
    if _kernel(os.uname().release if release is None else release) < _FIRST_KERNEL:
        return False
    try:
        name = (devices / f"{os.major(device)}:{os.minor(device)}").resolve(strict=True).name
        options = set((ext4 / name / "options").read_text("ascii").split())
        fast = ext4 / name / "fc_info"  # since Linux 5.10
        has_fast_commits = fast.exists() and bool(_FAST_COMMITS.search(fast.read_text("ascii")))
        # A journal on another device is listed under that device's name.
        has_own_journal = any(each.name.startswith(f"{name}-") for each in journals.iterdir())
    except (OSError, ValueError):
        return False
    is_usual = options >= _REQUIRED and not options & _REFUSED and not has_fast_commits
    return is_usual and has_own_journal


def _kernel(release: str) -> tuple[int, ...]:
    """The first two numbers of a kernel's release; zeros where it has none."""
    numbers = release.split("-", 1)[0].split(".")[:2]
    return tuple(int(each) if each.isdecimal() else 0 for each in numbers)
