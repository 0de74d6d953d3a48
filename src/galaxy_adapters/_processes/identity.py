"""Telling a process from another one that later got its number."""

from __future__ import annotations

from pathlib import Path

import psutil
from attrs import frozen


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


def identify(pid: int) -> ProcessIdentity | None:
    """Say who has this number now; None when nobody has, or only a zombie."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        birth = _linux_birth(pid) or f"{process.create_time():.2f}"
    except (psutil.Error, OSError):
        return None
    return ProcessIdentity(pid, birth)


def _linux_birth(pid: int) -> str | None:
    """Give the boot and the clock ticks since then; None where there is no Linux `/proc`."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if not boot.exists():
        return None
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    # The second field is the command in parentheses and may hold anything, spaces included; the
    # start time is the 22nd field of all.
    ticks = stat[stat.rindex(b")") + 2 :].split()[19]
    return f"{boot.read_text(encoding='ascii').strip()}/{ticks.decode('ascii')}"
