"""The file queue, killed or failed at every call that changes a file."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from tests.faults import queue_cycle
from tests.support import PROJECT_ROOT, every

EVERY = every(4)
FAULTS = ("kill", "torn", "EIO", "ENOSPC")
KINDS = ("any disk", "in-order")
"""Of disks: which calls are made depends on it."""
SYSTEM_CALLS = {
    "fsync": 9,
    "linkat": 3,
    "mkdir": 4,
    "rename": 3,
    "renameat2": 4,
    "symlink": 3,
    "unlink": 5,
    "write": 6,
}
"""By the kernel's names, with a number of a call in the middle of the cycle."""


def run_injector(folder: Path, fault: str, kind: str, *, every: int) -> None:
    """Go through the points, and show every broken promise."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.queue_injector", folder, fault, str(every), kind],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["wrong"] == [], done.stderr
    assert found["points"] >= 100 // every, "the faults were not reached"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_promise_is_broken_at_some_calls(folder: Path, fault: str, kind: str) -> None:
    """No accepted order is lost, torn, or comes again after its end (every thirteenth call)."""
    run_injector(folder, fault, kind, every=13)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_no_promise_is_broken_at_any_call(folder: Path, fault: str, kind: str) -> None:
    """The same, at every single call of the cycle (`make test-faults`; else at every fourth)."""
    run_injector(folder, fault, kind, every=EVERY)


def run_under_strace(folder: Path, injection: str) -> tuple[int, list[str]]:
    """Play one life under an injected fault and recover: its exit code, and what was wrong."""
    strace = shutil.which("strace")
    if strace is None:
        # Not required: the injector above goes through the same calls from inside.
        pytest.skip("strace is not installed")
    anyio.run(queue_cycle.prepare, folder)
    done = subprocess.run(
        [
            *(strace, "-f", "-qq", "-o", "/dev/null", "-e", f"inject={injection}"),
            *(sys.executable, "-B", "-m", "tests.faults.queue_process", "live", folder),
        ],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    said = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
    return done.returncode, anyio.run(queue_cycle.check, folder, said)


@pytest.mark.parametrize("call", ["fsync", "renameat2", "write"])
def test_kernel_kills_at_a_system_call(folder: Path, call: str) -> None:
    """What the kernel itself interrupts is recovered as well."""
    code, wrong = run_under_strace(folder, f"{call}:signal=KILL:when={SYSTEM_CALLS[call]}")
    assert code in {-9, 137}, "the call was not reached"
    assert wrong == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("call", SYSTEM_CALLS)
def test_kernel_kills_at_every_system_call(folder: Path, call: str) -> None:
    """The same at the first, second, third ... such call, until there is none left."""
    for number in range(1, 200, EVERY):
        place = folder / str(number)
        place.mkdir()
        code, wrong = run_under_strace(place, f"{call}:signal=KILL:when={number}")
        assert wrong == [], f"killed at {call} number {number}"
        if code == 0:
            assert number + EVERY > SYSTEM_CALLS[call]
            return
    pytest.fail(f"there is no end of {call} calls")
