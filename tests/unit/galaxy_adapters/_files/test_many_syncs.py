"""Syncs side by side: all are waited for, and no failure gets lost."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from galaxy_adapters._files import side_by_side


def test_answers_come_in_order() -> None:
    """Whoever is through first, the answers stand as the calls did."""
    barrier = threading.Barrier(8)

    def call(number: int) -> int:
        barrier.wait(10)  # passes only when all eight run at the same time
        return number

    assert side_by_side([partial(call, number) for number in range(8)]) == list(range(8))


@pytest.mark.parametrize("culprit", [0, 3])
def test_a_failure_waits_for_the_others(culprit: int) -> None:
    """The caller closes files after it: none may be in use any more."""
    opened, through = threading.Event(), list[int]()

    def call(number: int) -> None:
        if number == culprit:
            opened.set()
            raise OSError(5, "no such luck")
        opened.wait(10)
        through.append(number)

    with pytest.raises(OSError, match="no such luck"):
        side_by_side([partial(call, number) for number in range(5)])
    assert sorted(through) == [number for number in range(5) if number != culprit]


def test_a_forked_child_has_threads_of_its_own() -> None:
    """A pool that came through a fork has no threads, and would be waited for without end."""
    side_by_side([os.getpid, os.getpid])
    child = os.fork()
    if child == 0:
        threading.Timer(10, os._exit, [1]).start()
        mine = side_by_side([os.getpid, os.getpid])
        os._exit(0 if mine == [os.getpid()] * 2 else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
