"""Whether a daemon beats: told by its heartbeat changing while we look, never by clocks.

The times in a heartbeat are another process's, and a clock that is set would kill it.  A watcher
that was itself away (frozen, suspended) has seen nothing meanwhile, and begins to count anew.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.policy import HEARTBEAT_EVERY
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.presence import Presence

DEAD_AFTER = 4 * HEARTBEAT_EVERY
"""Of silence, when it has been heard to beat: with a look each second, 13 s in the worst case."""
DEAD_AT_START = timedelta(seconds=30)
"""When it has not been heard since we began: a host that boots starts one after the other."""
_AWAY = timedelta(seconds=5)
"""So long between two looks that are a second apart: it was us who were away."""


@define(eq=False)
class Pulse:
    """Listens to one daemon; to be looked at about once a second."""

    _presence: Presence
    _clock: Clock
    _last: Heartbeat | None = field(default=None, init=False)
    _changed_at: float | None = field(default=None, init=False)
    _looked_at: float = field(default=0.0, init=False)
    _has_beaten: bool = field(default=False, init=False)

    async def look(self) -> Heartbeat | None:
        """The last sign of life; None when there never was one."""
        found, now = await self._presence.read(), self._clock.monotonic()
        if self._changed_at is None or found != self._last:
            self._has_beaten = self._changed_at is not None
            self._last, self._changed_at = found, now
        elif now - self._looked_at > _AWAY.total_seconds():
            self._changed_at = now
        self._looked_at = now
        return found

    @property
    def silence(self) -> timedelta:
        """For how long nothing changed, as far as we looked."""
        return timedelta(seconds=self._looked_at - (self._changed_at or 0.0))

    @property
    def is_silent(self) -> bool:
        """Whether it should have beaten by now."""
        patience = DEAD_AFTER if self._has_beaten else DEAD_AT_START
        return self.silence > patience
