"""A server that does not answer: whether it is busy or hangs.

Both look the same from outside: under a heavy load opencode 1.18 left its health call unanswered
for 32 seconds and answered then.  What tells them apart is whether the process does anything at
all.  One that was asked and has neither used the processor nor been woken since, though it waits
for neither processor nor disk, hangs; anything else may be busy, and gets much more time.

What was seen is written down, so that patience does not begin anew with every Hermes.
"""

from __future__ import annotations

from datetime import timedelta

from attrs import evolve, frozen

_LONGEST_GAP_SECONDS = 15.0
"""Between two unanswered calls that are taken for one silence: nobody asked in between."""


@frozen(kw_only=True)
class Silence:
    """Calls in a row that one server did not answer.  Times are monotonic seconds."""

    server_id: str
    since: float
    """When the first of them was begun."""
    until: float
    """When the last of them was given up."""
    work: str | None = None
    """All that the server had done by `still_since`; None when that cannot be told."""
    still_since: float | None = None
    """Since when it has done nothing at all; None when it did something lately."""

    def is_hung(self, *, stillness: timedelta, patience: timedelta) -> bool:
        """Whether it has done nothing for `stillness`, or not answered for `patience`."""
        if self.until - self.since >= patience.total_seconds():
            return True
        still = self.still_since
        return still is not None and self.until - still >= stillness.total_seconds()


def silence_after(
    before: Silence | None,
    *,
    server_id: str,
    begun: float,
    now: float,
    work: tuple[str | None, ...],
) -> Silence:
    """Add a call to the silence: begun at `begun`, given up at `now`.

    `work` is what the process had done by then and by now (`work_of`).
    """
    known = before
    if known is not None and (known.server_id != server_id or known.until > now):
        known = None
    silence = Silence(server_id=server_id, since=begun, until=now)
    if known is not None and begun - known.until <= _LONGEST_GAP_SECONDS:
        silence = evolve(silence, since=known.since)
    then, latest = work
    if then is None or then != latest:
        return silence
    # No gap matters here: whoever answered in between would have done something.
    was_still = known is not None and known.still_since is not None and known.work == latest
    still_since = known.still_since if known is not None and was_still else begun
    return evolve(silence, work=latest, still_since=still_since)
