"""Telling a process from another one that later got its number."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

import psutil
from attrs import frozen

_DEAD = frozenset({b"Z", b"X"})


@frozen
class ProcessIdentity:
    """A process for good: its number is used again by the kernel, its birth is not."""

    pid: int
    birth: str
    """When it began, in a form that neither a changed clock nor a reboot makes ambiguous."""

    @property
    def is_alive(self) -> bool:
        """Whether exactly this process still runs; one that waits to be reaped does not."""
        return identify(self.pid) == self

    @property
    def age_seconds(self) -> float:
        """How long ago it began."""
        if _linux_boot() is None:
            return time.time() - float(self.birth)
        ticks = int(self.birth.rpartition("/")[2])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def identify(pid: int) -> ProcessIdentity | None:
    """Say who has this number now; None when nobody has, or only a zombie."""
    boot = _linux_boot()
    try:
        birth = _linux_birth(pid, boot) if boot is not None else _other_birth(pid)
    except (psutil.Error, OSError):
        return None
    return ProcessIdentity(pid, birth) if birth is not None else None


@lru_cache
def _linux_boot() -> str | None:
    """Name this boot of the machine; None where there is no Linux `/proc`."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _linux_birth(pid: int, boot: str) -> str | None:
    """Give the boot and the clock ticks since then.  One read: it is asked at every call."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    # The second field is the command in parentheses and may hold anything, spaces included; the
    # state is the third, the start time the 22nd of all.
    fields = stat[stat.rindex(b")") + 2 :].split()
    return None if fields[0] in _DEAD else f"{boot}/{fields[19].decode('ascii')}"


def _other_birth(pid: int) -> str | None:
    process = psutil.Process(pid)
    return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
