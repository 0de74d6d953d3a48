"""Where the benchmarks write: a disk that syncs as normal disks do, and a memory that never syncs.

An ext4 without a journal (some virtual machines have one) is no place for figures: its syncs are
not those of a normal disk, and after many removals its file creations get ten times slower for
minutes.  There, root gets a journaled ext4 in an image on the same disk; anybody else, and every
other file system, the temporary folder as it is (TMPDIR decides on which disk that lies).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from galaxy_adapters._files import filesystem_kind

IMAGE_BYTES = 8 << 30
"""Sparse: only what is written takes room."""
_JOURNALS = Path("/proc/fs/jbd2")
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it


@contextlib.contextmanager
def suitable_disk() -> Iterator[str]:
    """Make `tempfile` use a disk that is fit for figures; what it is, in words."""
    folder = Path(tempfile.gettempdir())
    if not (_lacks_a_journal(folder) and os.geteuid() == 0):
        yield filesystem_kind(folder) or "unknown"
        return
    with tempfile.TemporaryDirectory(prefix="galaxy-bench-") as home:
        mounted = _mount_image(Path(home))
        if mounted is None:
            yield f"{filesystem_kind(folder)} without a journal"
            return
        before, tempfile.tempdir = tempfile.tempdir, str(mounted)
        try:
            yield "ext4 with a journal, in an image on this disk"
        finally:
            tempfile.tempdir = before
            _run("umount", str(mounted))


@contextlib.contextmanager
def memory_folder() -> Iterator[Path]:
    """A new folder in memory; on the temporary folder's disk where there is no such thing."""
    in_memory = _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK)
    folder = Path(tempfile.mkdtemp(prefix="galaxy-bench-", dir=_MEMORY if in_memory else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _lacks_a_journal(folder: Path) -> bool:
    if filesystem_kind(folder) != "ext4" or not _JOURNALS.is_dir():
        return False
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
    return not any(journal.name.startswith(f"{device}-") for journal in _JOURNALS.iterdir())


def _mount_image(home: Path) -> Path | None:
    """A journaled ext4 in a file; None where that is not allowed."""
    image, point = home / "disk.img", home / "disk"
    point.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    options = "loop,nodiscard"
    is_made = _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image))
    if not (is_made and _run("mount", "-o", options, str(image), str(point))):
        return None
    device = next(
        line.split(" ", 1)[0]
        for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()
        if line.split(" ", 2)[1] == str(point)
    )
    # Past the cache of the disk below: else writes would be counted twice, and syncs come late.
    _run("losetup", "--direct-io=on", device)
    return point


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
