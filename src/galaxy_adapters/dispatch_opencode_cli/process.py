"""An agent's process under its supervisor, as the dispatcher sees it: lines in, an end out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import IO

import anyio
import anyio.abc
from attrs import define, field, frozen

from galaxy_adapters._opencode import without_ansi
from galaxy_core.domain.errors import DispatcherUnavailable

LONGEST_LINE = 64 * 1024 * 1024
"""Bytes: one line holds a whole answer or tool output (200 KB seen)."""
_CHUNK = 65_536
_SUPERVISOR = Path(__file__).with_name("supervisor.py")
_STOP_SECONDS = 10.0
"""What the supervisor needs beyond the grace, with a machine that is busy."""


@frozen(kw_only=True)
class Ended:
    """How a supervised process ended."""

    code: int
    """Exit code, 128 + number for a signal."""
    complaints: str
    """The newest end of its standard error, without colours."""


@define(eq=False)
class SupervisedProcess:
    """One run of opencode with everything it starts; the supervisor outlives all of it."""

    _process: anyio.abc.Process
    _control: int | None
    _grace: timedelta
    _buffer: bytearray = field(factory=bytearray, init=False)
    _searched: int = field(default=0, init=False)
    _has_ended: bool = field(default=False, init=False)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        directory: Path,
        environment: Mapping[str, str],
        prompt: IO[bytes],
        lock: int,
        grace: timedelta,
    ) -> SupervisedProcess:
        """Start the command with `prompt` as its standard input.

        `lock` is a descriptor that the supervisor keeps open until the last process is gone.
        Raises `DispatcherUnavailable`.
        """
        reads, control = os.pipe()
        supervise = [sys.executable, "-I", "-S", str(_SUPERVISOR), str(reads)]
        try:
            process = await anyio.open_process(
                [*supervise, str(grace.total_seconds()), "--", *command],
                stdin=prompt,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=directory,
                env=environment,
                # Its own session: what a terminal sends to Hermes is not meant for the agent.
                start_new_session=True,
                pass_fds=(reads, lock),
            )
        except OSError as error:
            os.close(control)
            raise DispatcherUnavailable(f"opencode cannot be started: {error.strerror}.") from error
        finally:
            os.close(reads)
        return cls(process, control, grace)

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    async def line(self, seconds: float) -> bytes | None:
        """The next line of standard output; None at its end.

        Raises `TimeoutError` when none comes in time.  A line longer than `LONGEST_LINE` is
        cut there, so that memory stays bounded; it is no JSON then and means nothing.
        """
        with anyio.fail_after(seconds):
            while (end := self._buffer.find(b"\n", self._searched)) < 0:
                self._searched = len(self._buffer)
                try:
                    chunk = await self._output.receive(_CHUNK)
                except (anyio.EndOfStream, anyio.ClosedResourceError):
                    return None
                if self._searched < LONGEST_LINE:
                    self._buffer += chunk
                elif b"\n" in chunk:
                    self._buffer += chunk[chunk.index(b"\n") :]
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return line

    @property
    def _output(self) -> anyio.abc.ByteReceiveStream:
        if self._process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        return self._process.stdout

    async def wait(self) -> Ended:
        """Wait until the process and everything it started is gone."""
        complaints = b""
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
            while self._process.stderr is not None:
                complaints += await self._process.stderr.receive(_CHUNK)
        code = await self._process.wait()
        self._has_ended = True
        self._let_go()
        text = without_ansi(complaints.decode("utf-8", "replace")).strip()
        return Ended(code=code if code >= 0 else 128 - code, complaints=text)

    def stop(self) -> None:
        """Ask the supervisor to end everything; returns at once, safe twice."""
        self._let_go()

    def _let_go(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            # The supervisor takes the end of this pipe as the order to stop, as when we die.
            os.close(control)

    async def end(self) -> bool:
        """Stop, and return when nothing is left of it; False when the supervisor hangs."""
        self.stop()
        if self._has_ended:
            return True
        budget = self._grace.total_seconds() + _STOP_SECONDS
        with anyio.move_on_after(budget, shield=True):
            await self._process.wait()
            self._has_ended = True
        return self._has_ended

    async def close(self) -> None:
        """Give back the pipes; ends the process first."""
        if not await self.end():
            self._process.kill()
        with anyio.CancelScope(shield=True):
            await self._process.aclose()
