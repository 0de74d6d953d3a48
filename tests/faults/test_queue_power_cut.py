"""A simulated power cut: what the disk has at that moment is all that there is.

The queue works on a file system of its own, in an image behind a loop device.  At a random moment
the worker is stopped and the image copied: in the copy is what was written through, and nothing
that only lay in the kernel's memory.  The kernel may still be writing then (a call that had begun
goes on), so a copy counts only when nothing changed under it: one of two moments is no disk that
ever was.  Assumes that a disk keeps what it was given.
"""

import filecmp
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from galaxy_core.testing.factories import make_ending
from galaxy_core.wire.layout import Layout
from tests.faults import queue_cycle
from tests.support import PROJECT_ROOT

IMAGE_BYTES = 64 << 20


@contextmanager
def mounted(image: Path) -> Iterator[Path]:
    """Mount the image; skips, visibly, where that is not allowed."""
    with tempfile.TemporaryDirectory(prefix="galaxy-mount-") as name:
        done = subprocess.run(
            ["mount", "-o", "loop", image, name], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"a disk image cannot be mounted here: {done.stderr.strip()}")
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", name], check=True)


@pytest.fixture
def image(folder: Path) -> Path:
    """Give an empty disk with a journal."""
    maker = shutil.which("mkfs.ext4") or shutil.which("mkfs.ext4", path="/sbin:/usr/sbin")
    if maker is None or os.geteuid() != 0:
        pytest.skip("a disk image can be made and mounted by root only, with mkfs.ext4")
    path = folder / "disk"
    with path.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([maker, "-q", path], check=True)
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


def churn_and_cut(image: Path, copy: Path, seconds: float) -> tuple[set[str], set[str]]:
    """Work on the image, cut the power: the orders that were accepted, and that had ended."""
    with (
        mounted(image) as disk,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.queue_process", "churn", disk / "repo"],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as worker,
    ):
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]  # it is at work now
        time.sleep(seconds)
        os.kill(worker.pid, signal.SIGSTOP)
        copy_of_one_moment(image, copy)
        worker.kill()
        lines += worker.stdout.readlines()
    said = [json.loads(line) for line in lines]
    accepted = {order_id for step, order_id in said if step == "accepted"}
    return accepted, {order_id for step, order_id in said if step == "ended"}


async def recover(folder: Path) -> list[str]:
    """Work off what is left; the ids that came."""
    came = []
    async with queue_cycle.open_queue(folder) as queue:
        while (delivery := await queue.claim()) is not None:
            came.append(str(delivery.order.id))
            await queue.ack(delivery, make_ending())
    return came


@pytest.mark.parametrize("round_number", range(2))
def test_accepted_and_ended_orders_survive_a_power_cut(
    image: Path, folder: Path, round_number: int
) -> None:
    """What `enqueue` accepted is there, whole; what `ack` ended does not come again."""
    copy = folder / "disk after the cut"
    seconds = 0.3 + random.Random(round_number).random()
    accepted, ended = churn_and_cut(image, copy, seconds)
    assert len(accepted) > 10
    assert len(ended) > 5
    with mounted(copy) as disk:
        layout = Layout(disk / "repo")
        came = anyio.run(recover, layout.repo_path)
        archived = {path.stem: json.loads(path.read_bytes()) for path in layout.archive.iterdir()}
        aside = list(layout.corrupted.iterdir())
        left = [path.name for path in layout.orders.iterdir()]
    assert accepted - set(archived) == set(), "accepted orders are lost"
    assert ended & set(came) == set(), "ended orders came again"
    assert len(came) == len(set(came))
    assert all(order["acknowledged"] and order["payload"] for order in archived.values())
    assert aside == []
    assert left == []
