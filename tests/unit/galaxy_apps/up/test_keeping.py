"""The process beside `galaxy up`: it hears beats, kills what hangs, and begins anew."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from galaxy_apps.exit_codes import ExitCode

PATIENCE_S = 60
FRAME = """
import os, re, signal, sys, time
from datetime import timedelta
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.up.keeping import Keeper

def say(*words):
    print(*words, flush=True)

def hang():
    re.match("(a+)+$", "a" * 64 + "b")  # no other thread of the process gets its turn

def wait(line):
    ends = []
    signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
    say("listens")
    while not ends:
        line.alive()
        time.sleep(0.05)
    say("ends", len(ends))

def work(line, before):
    say("begins", before.port, before.problem)
    {body}

sys.exit(Keeper(work, beat_within=timedelta(seconds=2)).run())
"""


def start(body: str) -> subprocess.Popen[str]:
    """Run some work under a keeper, in processes of their own."""
    return subprocess.Popen(
        [sys.executable, "-c", FRAME.replace("{body}", body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def begun(process: subprocess.Popen[str], word: str) -> None:
    """Read on until the work says so."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return
    raise AssertionError(f"it never said {word}")


def test_what_hangs_is_killed_and_begun_anew() -> None:
    """Also where nothing else in the process runs any more; the stacks say where it was."""
    process = start(
        "if before.port is None:\n"
        "        line.working(1234)\n"
        "        hang()\n"
        "    return ExitCode.NOT_FOUND"
    )
    said, errors = process.communicate(timeout=PATIENCE_S)
    first, second = [line for line in said.splitlines() if line.startswith("begins")]
    assert first == "begins None "
    assert second.startswith("begins 1234 nothing was heard of it for ")
    assert process.returncode == ExitCode.NOT_FOUND
    assert "in hang" in errors
    assert "up.restarted" in errors + said


def test_what_dies_again_and_again_is_told_once() -> None:
    """Each time it is begun anew, after a longer pause; people hear of the first time."""
    process = start(
        "line.working(1)\n"
        "    if before.problem:\n"
        "        line.told()\n"
        "    if before.port is not None and not before.problem:\n"
        "        return ExitCode.OK\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    said, _ = process.communicate(timeout=PATIENCE_S)
    begun = [line for line in said.splitlines() if line.startswith("begins")]
    assert begun == ["begins None ", "begins 1 it was killed by signal 9", "begins 1 "]
    assert process.returncode == ExitCode.OK


def test_what_dies_before_it_could_tell_is_told_by_the_next(tmp_path: Path) -> None:
    """How the first one ended stays news until it is on record, however many die on the way."""
    process = start(
        "line.working(1)\n"
        f"    died = os.open({str(tmp_path / 'died')!r}, os.O_CREAT | os.O_APPEND | os.O_RDWR)\n"
        "    if os.write(died, b'x') and os.fstat(died).st_size == 3:\n"
        "        return ExitCode.OK\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    said, _ = process.communicate(timeout=PATIENCE_S)
    begun = [line for line in said.splitlines() if line.startswith("begins")]
    assert begun == ["begins None ", *["begins 1 it was killed by signal 9"] * 2]
    assert process.returncode == ExitCode.OK


def test_what_never_worked_is_not_tried_again() -> None:
    """What is wrong at the start is seen at the start."""
    process = start("os.kill(os.getpid(), signal.SIGKILL)")
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert said.count("begins") == 1
    assert process.returncode == ExitCode.FAILURE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handed_on_once(number: signal.Signals) -> None:
    """The work ends by itself, and its exit code is that of the whole."""
    process = start("line.working(1); wait(line); return ExitCode.SETTINGS")
    begun(process, "listens")
    os.killpg(process.pid, number)  # as a terminal does
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert said == "ends 1\n"
    assert process.returncode == ExitCode.SETTINGS


def test_what_hangs_at_its_end_is_ended() -> None:
    """Nobody waits for ever, and nothing is begun anew once the end was asked for."""
    process = start("line.working(1); wait(line); hang()")
    begun(process, "listens")
    process.terminate()
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert said == "ends 1\n"
    assert process.returncode == ExitCode.INTERRUPTED


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends with its next beat")
def test_the_work_ends_with_who_watches_it() -> None:
    """A killed `galaxy up` leaves nothing that goes on unwatched."""
    process = start("line.working(1); say('listens'); hang()")
    begun(process, "listens")
    [child] = psutil.Process(process.pid).children()
    process.kill()
    process.communicate(timeout=PATIENCE_S)
    child.wait(PATIENCE_S)
