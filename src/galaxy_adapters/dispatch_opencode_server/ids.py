"""Message ids in the form that opencode gives its own.

`msg_`, 12 hexadecimal digits of time, 14 letters and digits.  The digits are the low 48 bits of
milliseconds since the epoch times 0x1000 plus a counter, so that ids sort by time.  opencode
relies on that: an answer counts as the answer to a message only when its id sorts after it.
"""

from __future__ import annotations

import secrets
import string
from datetime import datetime, timedelta

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PREFIX = "msg_"
_BITS = 48
_TICKS_PER_MILLISECOND = 0x1000


CLOCK_TOLERANCE = timedelta(seconds=5)
"""A clock that goes back by less is waited for, or counted over."""


class MessageIds:
    """Gives out ids, each greater than the one before unless the clock was set back.

    Then they go back with it: an id of the future would make an answer sort before its prompt.
    """

    def __init__(self) -> None:
        self._last = 0

    def next(self, now: datetime) -> str:
        """Make an id for this moment."""
        ticks = int(now.timestamp() * 1000) * _TICKS_PER_MILLISECOND
        most = int(CLOCK_TOLERANCE.total_seconds() * 1000) * _TICKS_PER_MILLISECOND
        self._last = self._last + 1 if 0 <= self._last - ticks < most else ticks
        time = self._last % (1 << _BITS)
        return f"{_PREFIX}{time:012x}" + "".join(secrets.choice(_ALPHABET) for _ in range(14))


def is_ahead_by(message_id: str, now: datetime) -> timedelta:
    """How far in the future an id was made; zero or less for a usual one.

    A clock that was set back leaves such ids behind.  The 48 bits last 2.2 years, so the
    difference is taken the short way round.
    """
    digits = message_id.removeprefix(_PREFIX)[:12]
    try:
        made = int(digits, 16)
    except ValueError:
        return timedelta(0)
    ticks = int(now.timestamp() * 1000) * _TICKS_PER_MILLISECOND
    half = 1 << (_BITS - 1)
    difference = (made - ticks + half) % (1 << _BITS) - half
    return timedelta(milliseconds=difference / _TICKS_PER_MILLISECOND)
