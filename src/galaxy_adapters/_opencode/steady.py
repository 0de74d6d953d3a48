"""A time of day for opencode that does not go back, and how far ids are ahead of ours.

`steady_clock.js` says why opencode needs one.  It is given to whatever opencode we start.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

PRELOAD = "BUN_INSPECT_PRELOAD"
"""Names a script that runs before opencode itself."""
STEADY_CLOCK = Path(__file__).with_name("steady_clock.js")
_FLOOR = "GALAXY_CLOCK_FLOOR"
_FURTHEST = timedelta(days=30)
"""A message that seems to be further ahead is more than a year old, see `ticks_between`."""

_BITS = 48
TICKS_PER_MILLISECOND = 0x1000


def steady_clock(after: str | None, now: datetime) -> dict[str, str]:
    """Variables for an opencode that goes on after a message.

    `after` is the message's id: opencode's clock begins behind it, also where ours is not so far.
    """
    variables = {PRELOAD: str(STEADY_CLOCK)}
    if after is not None and (timedelta(0) < (ahead := is_ahead_by(after, now)) <= _FURTHEST):
        floor = (now + ahead).timestamp() * 1000
        variables[_FLOOR] = str(int(floor) + 1)
    return variables


def id_time(identity: str) -> int | None:
    """Read when an id of opencode's form was made: 48 bits, see `ticks`; None for another form."""
    digits = identity.partition("_")[2][:12]
    try:
        return int(digits, 16)
    except ValueError:
        return None


def ticks(moment: datetime) -> int:
    """Count as ids do: 4096 to the millisecond since the epoch, of which they hold 48 bits."""
    return int(moment.timestamp() * 1000) * TICKS_PER_MILLISECOND


def ticks_between(later: int, earlier: int) -> int:
    """How much later; the 48 bits last 2.2 years, so it is taken the short way round."""
    half = 1 << (_BITS - 1)
    return (later - earlier + half) % (1 << _BITS) - half


def is_ahead_by(identity: str, now: datetime) -> timedelta:
    """How far in the future an id was made; zero or less for a usual one.

    A clock that was set back leaves such ids behind.
    """
    made = id_time(identity)
    if made is None:
        return timedelta(0)
    return timedelta(milliseconds=ticks_between(made, ticks(now)) / TICKS_PER_MILLISECOND)
