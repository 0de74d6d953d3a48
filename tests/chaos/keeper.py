"""Starts the daemons and starts them again when they end: a service manager in a few lines.

As systemd with the shipped units: what ends is started again after a pause, what does not feed its
watchdog is killed, an exit that says "the settings are wrong" is final.  Only the pause is shorter
and there is no limit to starts, since here they are killed every few seconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import define, field

from galaxy_apps.exit_codes import ExitCode

LOOK_EVERY_S = 0.02
FINAL = frozenset({ExitCode.USAGE, ExitCode.SETTINGS})
"""`RestartPreventExitStatus` of the units."""


@define(eq=False)
class Daemon:
    """One program that is to run."""

    name: str
    words: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str]
    watchdog_s: float
    pause_s: float
    exits: Counter[int] = field(factory=Counter, init=False)
    ended_at: float = field(default=0.0, init=False)
    """When an end was last noticed (monotonic)."""
    starts: int = field(default=0, init=False)
    barks: int = field(default=0, init=False)
    """How often the watchdog killed it."""
    is_final: bool = field(default=False, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _fed_at: float = field(default=0.0, init=False)
    _ear: socket.socket = field(init=False)
    _lock: threading.RLock = field(factory=threading.RLock, init=False)

    def __attrs_post_init__(self) -> None:
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(f"\0galaxy-chaos-{os.getpid()}-{id(self)}")
        self._ear.settimeout(0)

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        with self._lock:
            running = self._process is not None and self._process.poll() is None
            return self._process.pid if running and self._process is not None else None

    def start(self) -> None:
        """Start it."""
        address = "@" + self._ear.getsockname()[1:].decode()
        environment = {
            **self.environment,
            "NOTIFY_SOCKET": address,
            "WATCHDOG_USEC": str(int(self.watchdog_s * 1_000_000)),
        }
        with self._lock, self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *self.words],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self.starts += 1
            self._fed_at = time.monotonic()

    def signal(self, number: signal.Signals) -> int | None:
        """Send it a signal; which process got it."""
        with self._lock:
            pid = self.pid
            if pid is not None:
                os.kill(pid, number)
            return pid

    def look(self) -> None:
        """Start it again if it ended, kill it if it does not feed its watchdog."""
        with self._lock:
            self._hear()
            if self._process is None or self.is_final:
                return
            code = self._process.poll()
            now = time.monotonic()
            if code is None:
                if now - self._fed_at > self.watchdog_s:
                    self.barks += 1
                    self._fed_at = now
                    self._process.kill()
                return
            if self.ended_at < self._fed_at:
                self.ended_at = now
                self._fed_at = 0.0
                self.exits[code] += 1
                self.is_final = code in FINAL
            elif now - self.ended_at >= self.pause_s:
                self.start()

    def _hear(self) -> None:
        while True:
            try:
                word = self._ear.recv(4096)
            except BlockingIOError:
                return
            if self.pid is not None and (b"WATCHDOG=1" in word or b"READY=1" in word):
                self._fed_at = time.monotonic()

    def stop(self, patience_s: float) -> None:
        """End it, by force if need be."""
        with self._lock:
            if self._process is None:
                return
            process, self._process = self._process, None
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        try:
            self.exits[process.wait(patience_s)] += 1
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.exits[-signal.SIGKILL] += 1
        self._ear.close()


@define(eq=False)
class Keeper:
    """Looks after the daemons until it is closed; a context manager."""

    daemons: Sequence[Daemon]
    _ending: threading.Event = field(factory=threading.Event, init=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def __enter__(self) -> None:
        for daemon in self.daemons:
            daemon.start()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        for daemon in self.daemons:
            with contextlib.suppress(ProcessLookupError):
                daemon.stop(20)

    def _keep(self) -> None:
        while not self._ending.wait(LOOK_EVERY_S):
            for daemon in self.daemons:
                daemon.look()
