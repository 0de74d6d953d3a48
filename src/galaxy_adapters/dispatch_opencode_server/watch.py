"""The limits of a run, and how long is left of each."""

from __future__ import annotations

import math

import anyio
from attrs import define, field

from galaxy_adapters.dispatch_opencode_server.turn import Turn
from galaxy_core.domain.run import RunLimits

_TICK_SECONDS = 5.0
"""How often a run looks whether the server can still be reached, when nothing happens."""


@define
class Watch:
    """The time that one run has taken, waiting for people not counted."""

    limits: RunLimits
    _began: float = field(factory=anyio.current_time)
    _sign: float = field(factory=anyio.current_time)
    _waiting_since: float | None = None
    _waited: float = 0.0

    def sign_of_life(self) -> None:
        """Take note that agent or provider did something."""
        self._sign = anyio.current_time()

    def set_waiting(self, *, is_waiting: bool) -> None:
        """Take note whether a person has to answer before it can go on."""
        now = anyio.current_time()
        if is_waiting and self._waiting_since is None:
            self._waiting_since = now
        elif not is_waiting and self._waiting_since is not None:
            self._waited += now - self._waiting_since
            self._waiting_since = None
            self._sign = now

    @property
    def patience_seconds(self) -> float:
        """How long the run may wait for an event before its limits have to be looked at."""
        return max(0.0, min(_TICK_SECONDS, self._total_left(), self._silence_left()))

    def why_to_stop(self, turn: Turn) -> str | None:
        """Say which limit is passed, in a sentence for people; None when none is."""
        limits = self.limits
        if self._total_left() <= 0:
            return f"It took longer than the {limits.total} that it was given."
        if self._silence_left() <= 0:
            last = turn.retrying.message if turn.retrying else None
            because = f" The model's provider fails: {last}" if last else ""
            return f"There was no sign of life for {limits.silence}.{because}"
        if limits.steps is not None and turn.steps > limits.steps:
            return f"It took more than {limits.steps} steps."
        if limits.unknown_finishes is not None and turn.unknown_finishes > limits.unknown_finishes:
            return (
                f"The model's provider ended {turn.unknown_finishes} answers in a row without a "
                "reason: what it sends is not an answer."
            )
        return None

    def _total_left(self) -> float:
        if self.limits.total is None:
            return math.inf
        now = anyio.current_time()
        waited = self._waited + (now - self._waiting_since if self._waiting_since else 0.0)
        return self.limits.total.total_seconds() - (now - self._began - waited)

    def _silence_left(self) -> float:
        if self.limits.silence is None or self._waiting_since is not None:
            return math.inf
        return self.limits.silence.total_seconds() - (anyio.current_time() - self._sign)
