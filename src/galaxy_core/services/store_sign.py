"""Whether our own stores take what must be written.

Whoever meets a store that refuses waits and tries again, for ever: nothing may be lost.  That must
not be silent, so all of them say here how it went.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.clock import Clock

LASTING = timedelta(seconds=10)
"""A store that is away for less is no matter for people."""


@define(eq=False)
class StoreSign:
    """What cannot be written now, and since when."""

    _clock: Clock
    _refused: dict[str, tuple[float, str]] = field(factory=dict, init=False)
    """By what was being done: monotonic seconds, and the first error."""

    def note(self, doing: str, error: Exception | None) -> None:
        """Hear how it went: another error than a store's, or none, means that the store is well."""
        if isinstance(error, StorageUnavailable):
            self._refused.setdefault(doing, (self._clock.monotonic(), str(error)))
        else:
            self._refused.pop(doing, None)

    def trouble(self) -> str | None:
        """The longest refusal that lasts, in the store's own words; None while all is well."""
        since, text = min(self._refused.values(), default=(0.0, ""))
        lasts = self._clock.monotonic() - since >= LASTING.total_seconds()
        return text if text and lasts else None
