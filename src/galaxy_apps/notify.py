"""Telling the service manager how a daemon is doing: systemd's `sd_notify`, in a few lines.

A datagram each, and none of them matters to the daemon itself: without a manager (no
`NOTIFY_SOCKET`) nothing is sent, and a manager that does not listen is no failure of ours.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping
from datetime import timedelta

from attrs import frozen

SOCKET, WATCHDOG, WATCHDOG_OF = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"
_SECOND = 1_000_000


@frozen(kw_only=True)
class ServiceManager:
    """Whoever started us and wants to hear of us; perhaps nobody."""

    address: str | None = None
    watchdog: timedelta | None = None
    """By when the next `alive` must come, each time; None: nobody counts on it."""

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        return self.address is not None

    def ready(self, status: str) -> None:
        """Say that the daemon works: what was waiting for it may begin."""
        self._tell(READY="1", STATUS=status)

    def alive(self) -> None:
        """Say that everything gets on."""
        self._tell(WATCHDOG="1")

    def status(self, text: str) -> None:
        """Say in a line what the daemon is at; `systemctl status` shows it."""
        self._tell(STATUS=text)

    def stopping(self, status: str, within: timedelta) -> None:
        """Say that the end has begun, and how long it may take: killing before that loses work."""
        microseconds = str(int(within.total_seconds() * _SECOND))
        self._tell(STOPPING="1", STATUS=status, EXTEND_TIMEOUT_USEC=microseconds)

    def _tell(self, **fields: str) -> None:
        if self.address is None:
            return
        lines = "\n".join(f"{name}={' '.join(text.split())}" for name, text in fields.items())
        # A name that begins with @ lies in the kernel, not in a folder.
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.settimeout(0)
            way.sendto(lines.encode(), address)


def service_manager(environ: Mapping[str, str]) -> ServiceManager:
    """Whoever the environment names; a watchdog counts only where it is meant for this process."""
    address = environ.get(SOCKET, "")
    if not address.startswith(("/", "@")):
        return ServiceManager()
    is_ours = environ.get(WATCHDOG_OF) in {None, "", str(os.getpid())}
    text = environ.get(WATCHDOG, "")
    watchdog = timedelta(microseconds=int(text)) if is_ours and text.isdecimal() else None
    return ServiceManager(address=address, watchdog=watchdog or None)
