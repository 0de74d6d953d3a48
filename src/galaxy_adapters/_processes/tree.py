"""Finding and ending the processes that belong to one agent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import anyio.to_thread
import psutil

from galaxy_adapters._processes.identity import ProcessIdentity, identify

_SWEEPS = 5
"""How often processes are looked for again: one may have forked just before it was ended."""
_KILL_WAIT_SECONDS = 5.0
"""How long the kernel may take to end what was killed (a process in a disk wait)."""


def descendants(pid: int) -> list[psutil.Process]:
    """List children, their children and so on; empty when the process is gone.

    To be asked before the process is ended: its children belong to init afterwards.
    """
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def family(pid: int) -> list[psutil.Process]:
    """List a process, its children, their children and so on; empty when it is gone."""
    try:
        return [psutil.Process(pid), *descendants(pid)]
    except psutil.Error:
        return []


def listener(pid: int, port: int) -> ProcessIdentity | None:
    """Find who listens on a TCP port: a process, or one that it started.  None: none is seen."""
    for process in family(pid):
        with suppress(psutil.Error, OSError):
            for socket in process.net_connections("tcp"):
                if socket.status == psutil.CONN_LISTEN and socket.laddr.port == port:
                    return identify(process.pid)
    return None


def root_marked(name: str, value: str) -> ProcessIdentity | None:
    """Find the first of those that carry the marker; None when there is none, or in doubt."""
    found = {process.pid: process for process in marked(name, value)}
    roots = [pid for pid, process in found.items() if _parent(process) not in found]
    return identify(roots[0]) if len(roots) == 1 else None


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.Error:
        return None


def marked(name: str, value: str) -> list[psutil.Process]:
    """List this user's processes that were started with `name=value` in their environment."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        # Other users' processes and such as end just now cannot be read.
        with suppress(psutil.Error, OSError):
            if process.environ().get(name) == value:
                found.append(process)
    return found


async def end(processes: Sequence[psutil.Process], *, grace: timedelta) -> list[psutil.Process]:
    """TERM, wait at most `grace`, KILL; returns what is alive even then (a stuck disk wait)."""
    return await anyio.to_thread.run_sync(_end, list(processes), grace.total_seconds())


async def end_marked(name: str, value: str, *, grace: timedelta) -> list[psutil.Process]:
    """End every process that carries the marker, also those forked meanwhile; as `end`."""
    left: list[psutil.Process] = []
    for _ in range(_SWEEPS):
        found = await anyio.to_thread.run_sync(marked, name, value)
        if not found:
            return []
        left = await end(found, grace=grace)
    return left


def _end(processes: list[psutil.Process], grace_seconds: float) -> list[psutil.Process]:
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace_seconds)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=_KILL_WAIT_SECONDS)
    return [process for process in alive if _is_running(process)]


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
