"""Process trees are found and ended whole."""

import os
import signal
import subprocess
import sys
import uuid
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters._processes import (
    ProcessIdentity,
    descendants,
    end,
    end_marked,
    identify,
    marked,
)

pytestmark = pytest.mark.anyio

MARK = "GALAXY_TEST_MARK"

# Two grandchildren as an agent's shell tool makes them: in sessions of their own, one deaf to TERM.
TREE = """
import os, subprocess, sys
deaf = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('deaf', flush=True); time.sleep(300)"
)
one = subprocess.Popen([sys.executable, "-c", deaf], start_new_session=True, stdout=subprocess.PIPE)
one.stdout.readline()
two = subprocess.Popen(["sleep", "300"], start_new_session=True)
print(one.pid, two.pid, flush=True)
two.wait()
"""


def tree(mark: str) -> tuple["subprocess.Popen[str]", list[int]]:
    """Start one; returns its root and the grandchildren's numbers."""
    root = subprocess.Popen(
        [sys.executable, "-c", TREE],
        env={**os.environ, MARK: mark},  # noqa: TID251 - Python is found by it
        stdout=subprocess.PIPE,
        text=True,
    )
    assert root.stdout is not None
    return root, [int(word) for word in root.stdout.readline().split()]


def finish(root: "subprocess.Popen[str]") -> None:
    """Reap the root."""
    root.kill()
    root.wait()
    assert root.stdout is not None
    root.stdout.close()


async def test_everything_with_the_marker_is_ended() -> None:
    """Also what left the tree, and what does not listen to TERM."""
    mark = uuid.uuid4().hex
    root, children = tree(mark)
    root.send_signal(signal.SIGKILL)
    root.wait()
    # A child between fork and exec shows no environment for a moment.
    for _ in range(100):
        if {process.pid for process in marked(MARK, mark)} == set(children):
            break
        await anyio.sleep(0.05)
    else:
        raise AssertionError("the children are not found by their marker")
    left = await end_marked(MARK, mark, grace=timedelta(seconds=0.2))
    assert left == []
    assert [identify(child) for child in children] == [None, None]
    finish(root)


async def test_descendants_are_found_while_the_root_lives() -> None:
    """A process session of its own does not hide a child."""
    root, children = tree(uuid.uuid4().hex)
    found = descendants(root.pid)
    assert {process.pid for process in found} == set(children)
    assert await end(found, grace=timedelta(0)) == []
    finish(root)
    assert descendants(root.pid) == []


async def test_marker_of_others_is_left_alone() -> None:
    """Another value is another agent."""
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    root, children = tree(other)
    assert await end_marked(MARK, mine, grace=timedelta(0)) == []
    assert all(identify(child) for child in children)
    await end_marked(MARK, other, grace=timedelta(0))
    finish(root)


def test_process_is_known_by_its_birth() -> None:
    """A number that the kernel uses again is another process."""
    me = identify(os.getpid())
    assert me is not None
    assert me.is_alive
    assert me == identify(os.getpid())
    assert not ProcessIdentity(os.getpid(), "another birth").is_alive


def test_dead_process_is_nobody() -> None:
    """Also as a zombie, before its parent has heard of it."""
    child = subprocess.Popen(["true"])
    stat = Path(f"/proc/{child.pid}/stat")
    while stat.exists() and ") Z " not in stat.read_text(encoding="utf-8"):
        os.sched_yield()
    assert identify(child.pid) is None
    child.wait()
    assert identify(child.pid) is None
