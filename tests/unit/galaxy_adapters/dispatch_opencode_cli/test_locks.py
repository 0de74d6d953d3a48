"""One run at a time in a session, and no more lock files than sessions lately."""

from __future__ import annotations

import os
import threading
import time
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_adapters.dispatch_opencode_cli import locks
from galaxy_adapters.dispatch_opencode_cli.locks import (
    UNUSED_FOR,
    session_lock,
    sweep_session_locks,
)
from galaxy_core.domain.errors import DispatcherUnavailable

pytestmark = pytest.mark.anyio

NOT_AT_ALL, LONG = timedelta(0), timedelta(seconds=60)


def age(path: Path) -> None:
    """Let a file be one that nobody has used lately."""
    then = time.time() - UNUSED_FOR.total_seconds() - 60
    os.utime(path, (then, then))


async def test_a_new_session_sweeps_those_of_old_ones(tmp_path: Path) -> None:
    """A year of conversations leaves no file for each of them."""
    for number in range(5):
        async with session_lock(tmp_path, f"ses_{number}", NOT_AT_ALL):
            pass
        age(tmp_path / f"ses_{number}.lock")
    assert [path.name for path in tmp_path.iterdir()] == ["ses_4.lock"]


async def test_sweeping_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There may be very many files: leases are renewed while they are looked at."""
    threads: list[int] = []

    def sweep(folder: Path) -> int:
        threads.append(threading.get_ident())
        return sweep_session_locks(folder)

    monkeypatch.setattr(locks, "sweep_session_locks", sweep)
    async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
        pass
    assert threads
    assert threading.get_ident() not in threads


async def test_a_lock_that_is_held_stays(tmp_path: Path) -> None:
    """A run may take longer than that: its session is not given to another one."""
    lock = tmp_path / "ses_1.lock"
    async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
        age(lock)
        assert sweep_session_locks(tmp_path) == 0
        with pytest.raises(DispatcherUnavailable):
            async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
                pass
    age(lock)
    assert sweep_session_locks(tmp_path) == 1
    assert not lock.exists()


async def test_a_session_that_was_used_lately_stays(tmp_path: Path) -> None:
    """Its file says when it was used, not when it was made."""
    async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
        pass
    age(tmp_path / "ses_1.lock")
    async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
        pass
    assert sweep_session_locks(tmp_path) == 0


async def test_what_is_no_lock_of_ours_stays(tmp_path: Path) -> None:
    """Tickets lie in the same folder; links lead somewhere else."""
    other = tmp_path / "ticket.json"
    other.touch()
    link = tmp_path / "ses_2.lock"
    link.symlink_to(other)
    os.mkfifo(tmp_path / "ses_3.lock")
    for path in (other, tmp_path / "ses_3.lock"):
        age(path)
    os.utime(link, (0, 0), follow_symlinks=False)
    sweep_session_locks(tmp_path)
    assert other.exists()
    assert link.is_symlink()


async def test_a_lock_that_is_swept_while_somebody_waits_excludes_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits holds a file that has no name any more, and must not believe in it."""
    waits, has_it, goes = anyio.Event(), anyio.Event(), anyio.Event()
    try_lock = locks._try_lock

    def told(file: int) -> bool:
        is_ours = try_lock(file)
        if not is_ours:
            waits.set()
        return is_ours

    monkeypatch.setattr(locks, "_try_lock", told)

    async def work() -> None:
        async with session_lock(tmp_path, "ses_1", LONG):
            has_it.set()
            await goes.wait()

    async with anyio.create_task_group() as tasks:
        async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
            tasks.start_soon(work, name="work")
            await waits.wait()
            (tmp_path / "ses_1.lock").unlink()  # as a sweep does that has the lock for a moment
        await has_it.wait()
        with pytest.raises(DispatcherUnavailable):
            async with session_lock(tmp_path, "ses_1", NOT_AT_ALL):
                pass
        goes.set()
