"""Whatever a crash or a refusing disk leaves: no confirmed note is lost, no call is halved."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from tests.support import PROJECT_ROOT, require_or_skip
from tests.unit.galaxy_adapters.notes_sqlite.helpers import Place, note
from tests.unit.galaxy_adapters.notes_sqlite.writing_process import PARTS

FOREVER = 1_000_000


def start(place: Path, name: str, calls: int, *before: str | Path) -> subprocess.Popen[str]:
    """Start a process that writes."""
    module = "tests.unit.galaxy_adapters.notes_sqlite.writing_process"
    return subprocess.Popen(
        [*before, sys.executable, "-m", module, place, name, str(calls)],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def check(place: Place, confirmed: list[str]) -> list[str]:
    """All that was confirmed is there, each call whole or not at all; the calls that are there."""
    found = await place.keys()
    calls = {key.rpartition("-")[0] for key in found}
    assert sorted(found) == sorted(f"{call}-{part}" for call in calls for part in PARTS)
    assert set(confirmed) <= calls
    assert place.incidents.kinds == []
    return sorted(calls)


@pytest.mark.slow
async def test_killed_in_the_middle_of_writing(place: Place) -> None:
    """kill -9 at any moment, again and again on the same database."""
    chance = random.Random(20260202)
    confirmed: list[str] = []
    for number in range(20):
        with start(place.path, f"p{number}", FOREVER) as process:
            assert process.stdout is not None
            count = chance.randrange(1, 40)
            confirmed += [process.stdout.readline().strip() for _ in range(count)]
            process.kill()
            rest, errors = process.communicate()
        assert process.returncode == -signal.SIGKILL, errors
        # A line may be cut short by the death: then it is not known whether it was confirmed.
        confirmed += rest.rpartition("\n")[0].split()
        await check(place, confirmed)
    assert len(confirmed) > 100


@pytest.mark.parametrize(
    "call, file, when",
    [
        *(("pwrite64", "-wal", 1), ("pwrite64", "-wal", 9), ("fdatasync", "-wal", 1)),
        *(("fdatasync", "-wal", 4), ("openat", "-wal", 1), ("openat", "-shm", 1)),
        *(("pwrite64", "", 1), ("unlink", "-wal", 1)),
    ],
)
async def test_killed_at_a_system_call(place: Place, call: str, file: str, when: int) -> None:
    """The first write of a new database, a commit, a sync and the tidy end: all may be the last."""
    process = start(place.path, "w", 12, *_strace(place, file, f"{call}:signal=KILL:when={when}"))
    output, errors = process.communicate()
    _skip_when_forbidden(errors)
    assert process.returncode == -signal.SIGKILL, errors
    calls = await check(place, output.split())
    async with place.opened() as store:
        assert await store.add([note("next")]) == {"next"}
    assert len(calls) <= 12


def test_what_nobody_synced_is_synced_before_it_is_known(place: Place) -> None:
    """Of a process that died before its sync, a power cut leaves nothing: it is made up for."""
    fault = "fdatasync:signal=KILL:when=2"
    _, errors = start(place.path, "w", 12, *_strace(place, "-wal", fault)).communicate()
    _skip_when_forbidden(errors)
    # Its sync fails now: so there is one, and nothing is said before it has succeeded.
    fault = "fdatasync:error=EIO:when=1"
    _, errors = start(place.path, "w", 12, *_strace(place, "-wal", fault)).communicate()
    assert "Cannot open" in errors
    assert "SQLITE_IOERR_FSYNC" in errors


async def test_two_processes_at_once_and_a_third_that_dies(place: Place) -> None:
    """Several processes write to the same database, from its making on; nobody's death harms."""
    dying = start(place.path, "dying", FOREVER)
    others = [start(place.path, name, 40) for name in ("one", "other")]
    assert dying.stdout is not None
    confirmed = [dying.stdout.readline().strip() for _ in range(10)]
    dying.kill()
    dying.communicate()
    for process in others:
        output, errors = process.communicate()
        assert process.returncode == 0, errors
        assert len(output.split()) == 40, output
        confirmed += output.split()
    await check(place, confirmed)


# ---- a disk that refuses


async def test_full_disk_refuses_whole_calls_and_passes(place: Place) -> None:
    """What does not fit is refused whole, what is there stays, and space makes it go on."""
    async with place.opened() as store:
        await store.add([note("a")])
        connection = _writer(store)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 10}")
        with pytest.raises(StorageUnavailable, match="no space is left on the disk"):
            await store.add([note("b"), note("big", "x" * 100_000)])
        assert [each.key for each in await store.list("ask")] == ["a"]
        assert await store.add([note("small")]) == {"small"}, "what fits is still taken"
        connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
        assert await store.add([note("big", "x" * 100_000)]) == {"big"}
    assert await place.keys() == ["a", "small", "big"]
    assert place.incidents.kinds == []


@pytest.mark.parametrize(
    "fault, says",
    [
        ("pwrite64:error=ENOSPC:when=20..21", "no space is left on the disk"),
        ("pwrite64:error=EIO:when=20..21", "input/output error"),
        ("fdatasync:error=EIO:when=3..4", "input/output error"),
    ],
)
async def test_kernel_refuses_a_write(place: Place, fault: str, says: str) -> None:
    """Who is refused is told why, and his notes are not there, though they may be in the log."""
    assert await place.keys() == []
    process = start(place.path, "w", 30, *_strace(place, "-wal", fault))
    output, errors = process.communicate()
    _skip_when_forbidden(errors)
    assert process.returncode == 0, errors
    lines = output.splitlines()
    refused = [line for line in lines if line.startswith("refused")]
    assert refused
    assert all(says in line for line in refused), refused
    confirmed = [line for line in lines if line not in refused]
    assert lines[-1] in confirmed, "it goes on afterwards"
    calls = await check(place, confirmed)
    assert len(calls) == len(confirmed), "what was refused is not there"


def _writer(store: object) -> sqlite3.Connection:
    found = store._database._writer[1]  # type: ignore[attr-defined]
    assert isinstance(found, sqlite3.Connection)
    return found


def _strace(place: Place, file: str, fault: str) -> list[str | Path]:
    strace = shutil.which("strace") or require_or_skip("strace is not installed")
    call = fault.partition(":")[0]
    return [
        *(strace, "-f", "-qq", "-o", os.devnull, "-P", place.beside(file)),
        *("-e", f"trace={call}", "-e", f"inject={fault}"),
    ]


def _skip_when_forbidden(errors: str) -> None:
    if "Operation not permitted" in errors:
        require_or_skip("this machine does not let a process be traced")
