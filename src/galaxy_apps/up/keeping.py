"""A small process that watches the one in which everything runs, as a service manager does.

All parts share an event loop, so when it is blocked none of them can notice: the other process
can.  It hears a beat each few seconds; where none comes it kills, and begins anew.  It opens
nothing of the folder, so it may be killed at any time: what it watches ends with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from types import FrameType

import structlog
from attrs import define, field, frozen

from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.notify import ServiceManager
from galaxy_core.domain.policy import RetryPolicy

log = structlog.get_logger(__name__)

BEAT_WITHIN = timedelta(seconds=15)
FIRST_BEAT_WITHIN = timedelta(seconds=60)
"""To begin may take long on a busy host."""
AGAIN = RetryPolicy(ceiling=timedelta(minutes=1))
"""Pauses before everything begins anew."""
SETTLED = timedelta(minutes=2)
"""What has worked for so long is well: the next pause is a short one again."""
TICK_S = 1.0
AWAY_S = 5.0
"""A look that comes so much late: it was us who were away, and the beats with us."""
STACKS_S = 1.0
"""What a hung process gets to write down where it hangs."""
STOPS = 2
"""So many signals ask; the next one kills."""
_WORKING, _TOLD = "WORKING", "TOLD"
_PR_SET_PDEATHSIG = 1


@frozen(kw_only=True)
class Lifeline(ServiceManager):
    """The pipe to the watching process."""

    pipe: int

    @property
    def is_there(self) -> bool:
        """Whether anybody listens."""
        return True

    def working(self, port: int) -> None:
        """Say that everything has begun, and where the page is."""
        self._tell(**{_WORKING: str(port)})

    def told(self) -> None:
        """Say that people hear of `Before.problem`, whatever happens now."""
        self._tell(**{_TOLD: "1"})

    def _tell(self, **fields: str) -> None:
        lines = "".join(f"{name}={' '.join(text.split())}\n" for name, text in fields.items())
        try:
            os.write(self.pipe, lines.encode())
        except BlockingIOError:
            return  # nobody has listened for hours: a stopped process
        except OSError:
            # Nobody looks after us any more, and nobody else may begin while we go on.
            os._exit(ExitCode.FAILURE)


@frozen(kw_only=True)
class Before:
    """What there was before this process: nothing, or one that ended and must be stood in for."""

    port: int | None = None
    """Where its page was: people have it open."""
    problem: str = ""
    """How it ended; empty when that was told already (`Lifeline.told`), or nothing did."""


@define(eq=False)
class Keeper:
    """Runs work in a child, and again when that hangs or is killed."""

    _work: Callable[[Lifeline, Before], ExitCode]
    beat_within: timedelta = BEAT_WITHIN
    first_beat_within: timedelta = FIRST_BEAT_WITHIN
    _child: int | None = field(default=None, init=False)
    _stops: int = field(default=0, init=False)
    _port: int | None = field(default=None, init=False)
    _untold: str = field(default="", init=False)
    """Why it was begun anew; until a child says that it is on record: it may die before."""

    def run(self) -> ExitCode:
        """Look after the work until it ends by itself or is told to; its exit code.

        In the child it returns too, with the work's own code: whoever calls it does nothing after
        it but end.
        """
        attempt, before = 0, Before()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        while True:
            began = time.monotonic()
            line = self._begin()
            if isinstance(line, Lifeline):
                return self._work(line, before)
            code, problem = self._watch(line)
            if code is not None:
                return code
            if self._is_stopping():
                return ExitCode.INTERRUPTED
            if self._port is None:
                log.error("up.not_started", problem=problem)
                return ExitCode.FAILURE
            is_settled = time.monotonic() - began > SETTLED.total_seconds()
            attempt = 1 if is_settled else attempt + 1
            # What ends again and again is told once.
            if attempt == 1:
                self._untold = problem
            before = Before(port=self._port, problem=self._untold)
            pause = AGAIN.delay(attempt, draw=0.5).total_seconds()
            log.error("up.restarted", problem=problem, again_in_seconds=round(pause, 1))
            end = time.monotonic() + pause
            while time.monotonic() < end:
                if self._is_stopping():
                    return ExitCode.INTERRUPTED
                time.sleep(0.1)

    # ---- the child

    def _begin(self) -> Lifeline | int:
        """Make the child: there its lifeline, here the end of it that is listened to."""
        listen, speak = os.pipe()
        os.set_blocking(speak, False)
        signals = {signal.SIGTERM, signal.SIGINT}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        try:
            us, child = os.getpid(), os.fork()
            if child:
                os.close(speak)
                self._child = child
                return listen
            os.close(listen)
            _become_child(us)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        return Lifeline(pipe=speak, watchdog=self.beat_within)

    # ---- the watching process

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        """Hand a signal on: the terminal's Ctrl-C does not reach the child by itself."""
        self._stops += 1
        if self._child is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL if self._stops > STOPS else signal.SIGTERM)

    def _is_stopping(self) -> bool:
        return self._stops > 0

    def _watch(self, listen: int) -> tuple[ExitCode | None, str]:
        """Wait for its end: its exit code, or None and how it ended."""
        child = self._child
        if child is None:
            raise AssertionError("nothing was begun")
        within, said = self.first_beat_within.total_seconds(), b""
        heard = looked = time.monotonic()
        problem = ""
        try:
            while True:
                is_heard = bool(select.select([listen], [], [], TICK_S)[0])
                now = time.monotonic()
                if now - looked > TICK_S + AWAY_S:
                    heard = now
                looked = now
                if is_heard:
                    news = os.read(listen, 4096)
                    if not news:
                        break
                    heard, within = now, self.beat_within.total_seconds()
                    said = self._note(said + news)
                elif now - heard > within:
                    problem = f"nothing was heard of it for {now - heard:.0f} seconds"
                    _kill(child)
                    break
        finally:
            os.close(listen)
            _, status = os.waitpid(child, 0)
            self._child = None
        code = os.waitstatus_to_exitcode(status)
        if code >= 0 and not problem:
            known = {each.value for each in ExitCode}
            return ExitCode(code) if code in known else ExitCode.FAILURE, ""
        return None, problem or f"it was killed by signal {-code}"

    def _note(self, said: bytes) -> bytes:
        """Take note of whole lines; the rest."""
        *lines, rest = said.split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition("=")
            if name == _WORKING:
                self._port = int(value)
            elif name == _TOLD:
                self._untold = ""
        return rest


def _become_child(parent: int) -> None:
    # A group of its own: what the terminal says to all comes by way of the parent, and once.
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.stderr is not None:
        faulthandler.register(signal.SIGUSR2, all_threads=True)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(ExitCode.FAILURE)


def _kill(child: int) -> None:
    """End it, after it has written where it hangs, if it can."""
    os.kill(child, signal.SIGUSR2)
    time.sleep(STACKS_S)
    os.kill(child, signal.SIGKILL)
