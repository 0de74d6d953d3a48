"""Telling a process that does something from one that does not."""

from __future__ import annotations

import psutil

from galaxy_adapters._processes.identity import ProcessIdentity

_WANTS_TO_RUN = frozenset({psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP, psutil.STATUS_WAKING})


def work_of(process: ProcessIdentity | None) -> str | None:
    """Say what a process has done so far, in a form that any bit of work changes.

    None when it cannot be told, and while it waits for the processor or a disk.  Of the threads
    beside the main one only their use of the processor counts, in steps of 10 ms.
    """
    if process is None or not process.is_alive:
        return None
    try:
        seen = psutil.Process(process.pid)
        if seen.status() in _WANTS_TO_RUN:
            return None
        switches, times = seen.num_ctx_switches(), seen.cpu_times()
    except (psutil.Error, OSError, AttributeError, NotImplementedError):
        return None
    return f"{switches.voluntary} {switches.involuntary} {times.user} {times.system}"
