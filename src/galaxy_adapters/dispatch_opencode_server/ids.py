"""Message ids in the form that opencode gives its own.

`msg_`, 12 hexadecimal digits of time, 14 letters and digits.  The digits are the low 48 bits of
milliseconds since the epoch times 0x1000 plus a counter, so that ids sort by time.  What came of a
message is told from what was before it by that order.
"""

from __future__ import annotations

import secrets
import string
from datetime import datetime, timedelta

from galaxy_adapters._opencode.steady import TICKS_PER_MILLISECOND, id_time, ticks, ticks_between

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PREFIX = "msg_"
_BITS = 48

CLOCK_TOLERANCE = timedelta(seconds=5)
"""A clock that goes back by less is counted over."""
_MOST_TICKS = int(CLOCK_TOLERANCE.total_seconds() * 1000) * TICKS_PER_MILLISECOND


class MessageIds:
    """Gives out ids, each greater than the one before unless the clock was set back.

    Then they go back with it, but not behind the session that they are for.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: datetime, *, after: str | None = None) -> str:
        """Make an id for this moment; `after` is the newest of its session."""
        moment = ticks(now)
        self._last = self._last + 1 if 0 <= self._last - moment < _MOST_TICKS else moment
        time = self._last
        newest = id_time(after) if after is not None else None
        if newest is not None and ticks_between(newest, time) >= 0:
            time = newest + 1
        time %= 1 << _BITS
        return f"{_PREFIX}{time:012x}" + "".join(secrets.choice(_ALPHABET) for _ in range(14))
