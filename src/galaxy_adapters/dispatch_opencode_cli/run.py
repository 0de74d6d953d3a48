"""One run of `opencode run`: follow its lines, keep its limits, say how it ended.

If we die at any place in here, the supervisor ends the run; what the session holds then tells the
next attempt how far it came.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import AsyncGenerator
from datetime import timedelta

import anyio
import anyio.to_thread
from attrs import define, evolve, field

from galaxy_adapters._processes import descendants
from galaxy_adapters.dispatch_opencode_cli.process import Ended, SupervisedProcess
from galaxy_adapters.dispatch_opencode_cli.tickets import Errand
from galaxy_adapters.dispatch_opencode_cli.transcript import Transcript
from galaxy_core.domain.run import RunEnded, RunEvent, RunRequest, RunStarted, Verdict

_TICK_SECONDS = 5.0
"""How long at most until the limits are looked at again."""
_KILLED = 128 + signal.SIGKILL
_NOT_FOUND = "Session not found"


@define(kw_only=True, eq=False)
class Run:
    """One prompt on its way through the agent."""

    request: RunRequest
    errand: Errand
    transcript: Transcript = field(factory=Transcript, init=False)
    is_cancelled: bool = field(default=False, init=False)
    is_session_lost: bool = field(default=False, init=False)
    """Whether opencode did not know the session: then nothing was sent."""
    was_killed: bool = field(default=False, init=False)
    """Whether somebody killed opencode or its supervisor, which may have left processes."""
    _process: SupervisedProcess | None = field(default=None, init=False)
    _stopped_because: str | None = field(default=None, init=False)
    _began: float = field(factory=anyio.current_time, init=False)
    _sign: float = field(factory=anyio.current_time, init=False)

    async def events(self, process: SupervisedProcess) -> AsyncGenerator[RunEvent, None]:
        """Follow the process; the last event is `RunEnded`, unless the session is lost.

        Leaving early ends the process and everything it started.
        """
        self._process = process
        if self.is_cancelled:
            process.stop()  # while it was being started
        try:
            yield RunStarted(
                session_id=self.errand.session,
                message_id=self.errand.run,
                agent=self.errand.agent,
                model=self.errand.model,
            )
            while (line := await self._next_line(process)) is not None:
                for event in self.transcript.feed(line):
                    yield event
            end = await process.wait()
            self.was_killed = end.code == _KILLED
            ended = self._ended(end)
            self.is_session_lost = not self.transcript.steps and _NOT_FOUND in (ended.reason or "")
            if not self.is_session_lost:
                yield ended
        finally:
            await process.close()

    async def cancel(self) -> None:
        """End it; when this returns, nothing works on it any more."""
        self.is_cancelled = True
        if self._process is not None:
            await self._process.end()

    # ---- limits

    async def _next_line(self, process: SupervisedProcess) -> bytes | None:
        """The next line; None at the end.  Ends the run when a limit is passed."""
        while True:
            if self._stopped_because is None:
                self._stopped_because = await self._why_to_stop(process)
                if self._stopped_because is not None:
                    process.stop()
            try:
                line = await process.line(self._patience_seconds())
            except TimeoutError:
                continue
            self._sign = anyio.current_time()
            return line

    def _patience_seconds(self) -> float:
        if self._stopped_because is not None:
            return _TICK_SECONDS
        return max(0.0, min(_TICK_SECONDS, self._total_left(), self._silence_left()))

    def _total_left(self) -> float:
        return _left(self.request.limits.total, self._began)

    def _silence_left(self) -> float:
        return _left(self.request.limits.silence, self._sign)

    async def _why_to_stop(self, process: SupervisedProcess) -> str | None:
        limits, transcript = self.request.limits, self.transcript
        if self._total_left() <= 0:
            return f"It took longer than the {limits.total} that it was given."
        if limits.steps is not None and transcript.steps > limits.steps:
            return f"It took more than {limits.steps} steps."
        unknown = transcript.unknown_finishes
        if limits.unknown_finishes is not None and unknown > limits.unknown_finishes:
            return (
                f"The model's provider ended {unknown} answers in a row without a reason: what it "
                "sends is not an answer."
            )
        if self._silence_left() <= 0:
            if await anyio.to_thread.run_sync(_runs_a_tool, process.pid):
                # opencode run prints nothing while a tool runs, however long that takes.
                self._sign = anyio.current_time()
                return None
            return f"There was no sign of life for {limits.silence}."
        return None

    def _ended(self, end: Ended) -> RunEnded:
        ended = self.transcript.ended(code=end.code, complaints=end.complaints)
        if self.is_cancelled:
            ended = evolve(ended, verdict=Verdict.CANCELLED, reason="It was cancelled.")
        elif self._stopped_because is not None:
            ended = evolve(ended, verdict=Verdict.FAILED, reason=self._stopped_because)
        return evolve(ended, session_id=self.errand.session)


def _left(limit: timedelta | None, since: float) -> float:
    if limit is None:
        return math.inf
    return limit.total_seconds() - (anyio.current_time() - since)


def _runs_a_tool(supervisor: int) -> bool:
    """Whether a tool runs: opencode gives each shell command a process session of its own."""
    sessions: set[int] = set()
    for process in descendants(supervisor):
        try:
            sessions.add(os.getsid(process.pid))
        except ProcessLookupError:
            continue
    return len(sessions) > 1
