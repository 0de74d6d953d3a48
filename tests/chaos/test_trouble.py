"""The trouble that the storm makes is trouble: a clock that is set, a line that is cut."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos import cutting
from tests.chaos.clock import SetClock, made_clocks

READ_BOTH = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


def read(program: subprocess.Popen[str]) -> tuple[float, float]:
    """Ask the program for its time of day and for the clock that only measures."""
    assert program.stdin is not None
    assert program.stdout is not None
    program.stdin.write("\n")
    program.stdin.flush()
    day, measured = program.stdout.readline().split()
    return float(day), float(measured)


def clocks_of(folder: Path) -> tuple[SetClock, SetClock]:
    """Make two clocks; skips where that cannot be."""
    clocks = made_clocks(folder)
    if clocks is None:
        pytest.skip("no C compiler that makes a shared library")
    return clocks


def test_a_clock_is_set_under_a_running_program(tmp_path: Path) -> None:
    """Forth and back, at once, and nothing but the time of day."""
    clock, other = clocks_of(tmp_path)
    other.set_to(7_000_000.0)
    with subprocess.Popen(
        [sys.executable, "-c", READ_BOTH],
        env={**os.environ, **clock.environment},  # noqa: TID251 - a program's own
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        readings = []
        for off_by_s in (0.0, 100_000.0, -100_000.0):
            clock.set_to(off_by_s)
            readings.append(read(program))
    (day, measured), *later = readings
    ahead, behind = (d - day - (m - measured) for d, m in later)
    assert ahead == pytest.approx(100_000.0, abs=1.0)
    assert behind == pytest.approx(-100_000.0, abs=1.0)


def test_a_cut_breaks_what_is_open_and_closes_no_door() -> None:
    """Both ends hear of it, and a new connection is had at once."""
    if not cutting.can_cut():
        pytest.skip("`ss -K` is not there, or not allowed")
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        port = int(door.getsockname()[1])
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as near:
            far, _ = door.accept()
            with closing(far):
                assert cutting.is_connected(port)
                cutting.cut(port)
                with pytest.raises(ConnectionError):
                    near.recv(1)
        with closing(socket.create_connection(("127.0.0.1", port), timeout=20)):
            assert cutting.is_connected(port)
