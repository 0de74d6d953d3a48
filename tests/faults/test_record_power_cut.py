"""The power goes at every step of an order, beside others who use the same disk.

Somebody else's sync commits the file system's journal at any moment, and with it the names of
files that their writer has not synced yet.  So the worker is stopped before a call, another
process has the disk commit, and then the disk is copied (`disk_image`): that is all there is.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from galaxy_adapters._files.commit_order import commits_in_order
from tests.faults import record_life
from tests.faults.disk_image import copy_of_one_moment, make_image, mounted
from tests.support import PROJECT_ROOT, every

EVERY = every(12)
NEIGHBOUR = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
while True:
    os.pwrite(fd, os.urandom(8), 0)
    os.ftruncate(fd, 4096 + os.urandom(1)[0])
    os.fsync(fd)
"""


@contextmanager
def running(disk: Path, stops_at: int) -> Iterator[subprocess.Popen[str]]:
    """Run a worker on the disk; it is killed in the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.record_life", disk / "repo", str(stops_at)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def commit_for_another(disk: Path) -> None:
    """Have the disk commit, as any program's sync does; nobody else's content is written out."""
    with (disk / "another program's").open("wb") as file:
        file.write(b"x")
        file.flush()
        os.fsync(file.fileno())


def what_is_wrong(copy: Path, said: str) -> list[str]:
    """Look at the disk after the cut."""
    steps = [tuple(json.loads(line)) for line in said.splitlines()]
    with mounted(copy) as disk:
        return anyio.run(record_life.check, disk / "repo", steps)


def cut_at(folder: Path, number: int, *features: str, options: str = "") -> list[str] | None:
    """Cut the power before that call: what is wrong then; None when there are fewer calls."""
    image, copy = make_image(folder / "disk", *features), folder / "disk after the cut"
    with mounted(image, options) as disk, running(disk, number) as worker:
        _, status = os.waitpid(worker.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            worker.returncode = os.waitstatus_to_exitcode(status)
            assert worker.returncode == 0
            return None
        commit_for_another(disk)
        copy_of_one_moment(image, copy)
        worker.kill()
        said = worker.stdout.read() if worker.stdout else ""
    return what_is_wrong(copy, said)


@pytest.mark.parametrize("number", range(60, 70))
def test_cut_at_some_calls(folder: Path, number: int) -> None:
    """Whatever step an order is at, nothing that was promised is gone and nothing is torn."""
    assert cut_at(folder, number) == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_cut_at_every_call(folder: Path) -> None:
    """The same at the first, second, third ... call (`make test-faults`; else at every twelfth)."""
    number = 1
    while (wrong := cut_at(folder, number)) is not None:
        assert wrong == [], f"cut at call {number}"
        number += EVERY
    assert number > 100, "the calls are not counted"


def test_cut_at_a_random_moment(folder: Path) -> None:
    """Beside another program that syncs all the time, at a moment that nobody has chosen."""
    image, copy = make_image(folder / "disk"), folder / "disk after the cut"
    with mounted(image) as disk:
        neighbour = subprocess.Popen([sys.executable, "-c", NEIGHBOUR, disk / "another program's"])
        try:
            with running(disk, 0) as worker:
                assert worker.stdout is not None
                first = worker.stdout.readline()  # it is at work now
                time.sleep(random.Random(os.urandom(8)).random())
                for process in (worker, neighbour):
                    os.kill(process.pid, signal.SIGSTOP)
                copy_of_one_moment(image, copy)
                worker.kill()
                said = first + worker.stdout.read()
        finally:
            neighbour.kill()
            neighbour.wait()
    assert what_is_wrong(copy, said) == []


def test_these_disks_commit_in_order(folder: Path) -> None:
    """The disks of these tests are of the kind for which one commit is enough."""
    with mounted(make_image(folder / "disk")) as disk:
        assert commits_in_order(disk)
