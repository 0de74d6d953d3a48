"""A disk of its own in an image behind a loop device, and its copy as of one moment.

In the copy is what was written through, and nothing that only lay in the kernel's memory.  The
kernel may still be writing after everybody has stopped (a call that had begun goes on), so a copy
counts only when nothing changed under it: one of two moments is no disk that ever was.  Assumes
that a disk keeps what it was given.
"""

import filecmp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

IMAGE_BYTES = 64 << 20


@contextmanager
def mounted(image: Path, options: str = "") -> Iterator[Path]:
    """Mount the image; skips, visibly, where that is not allowed."""
    with tempfile.TemporaryDirectory(prefix="galaxy-mount-") as name:
        done = subprocess.run(
            ["mount", "-o", ",".join(filter(None, ("loop", options))), image, name],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            pytest.skip(f"a disk image cannot be mounted here: {done.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


def make_image(path: Path, *features: str) -> Path:
    """Make an empty disk with a journal."""
    maker = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if maker is None or os.geteuid() != 0:
        pytest.skip("a disk image can be made and mounted by root only, with mkfs.ext4")
    with path.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([maker, "-q", *features, path], check=True)
    return path


def copy_of_one_moment(image: Path, copy: Path) -> None:
    """Copy the image as it was at one moment: until two copies in a row are the same."""
    again = copy.with_name("the same again")
    shutil.copyfile(image, copy)
    for _ in range(50):
        shutil.copyfile(image, again)
        if filecmp.cmp(copy, again, shallow=False):
            again.unlink()
            return
        again.replace(copy)
    pytest.fail("the disk does not come to rest though nobody writes")
