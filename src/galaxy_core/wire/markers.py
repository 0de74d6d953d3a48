"""Marks that people put into the text of a message: 🔴 urgent, ⏰2h later, #project.

They are read, never removed: the payload reaches the agent as it was written.
"""

from __future__ import annotations

import re
from datetime import timedelta

from attrs import frozen

from galaxy_core.domain.order import Priority

__all__ = ["NO_MARKERS", "Markers", "read_markers"]

_URGENT = ("\N{LARGE RED CIRCLE}", "\N{HIGH VOLTAGE SIGN}")
_LOW = ("\N{LARGE BLUE CIRCLE}", "\N{DOUBLE VERTICAL BAR}")
_CLOCK = "\N{ALARM CLOCK}"
# An emoji may be followed by U+FE0F, which asks for its coloured form.
_DELAY = re.compile(_CLOCK + "\ufe0f?[ ]?([0-9]+)([hmd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_LONGEST = timedelta(days=3660)
# A tag stands alone and begins with a letter: neither "issue #42" nor "C#" nor "page.html#top".
_PROJECT = re.compile(r"(?:^|(?<=\s))#([^\W\d_][\w-]*)(?![\w#/<>(])")


@frozen(kw_only=True)
class Markers:
    """What the marks of a text ask for; None where there is no such mark."""

    priority: Priority | None = None
    delay: timedelta | None = None
    project: str | None = None
    """Only a wish: a tag that is no known project is part of the sentence and nothing more."""
    problem: str | None = None
    """Why a mark cannot be obeyed, in one sentence."""


NO_MARKERS = Markers()


def read_markers(text: str) -> Markers:
    """Read the marks of a text.  Of several of one kind the first counts; urgent beats low."""
    has_tag = "#" in text
    if text.isascii():
        return Markers(project=_project(text)) if has_tag else NO_MARKERS
    delay, problem = _delay(text) if _CLOCK in text else (None, None)
    return Markers(
        priority=_priority(text),
        delay=delay,
        project=_project(text) if has_tag else None,
        problem=problem,
    )


def _priority(text: str) -> Priority | None:
    if any(mark in text for mark in _URGENT):
        return Priority.URGENT
    if any(mark in text for mark in _LOW):
        return Priority.LOW
    return None


def _project(text: str) -> str | None:
    match = _PROJECT.search(text)
    return match[1] if match else None


def _delay(text: str) -> tuple[timedelta | None, str | None]:
    match = _DELAY.search(text)
    if match is None:
        return None, None
    # More digits than any wait has: int() would refuse thousands of them, timedelta a few less.
    if len(match[1]) <= 9:  # noqa: PLR2004
        delay = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        if delay <= _LONGEST:
            return delay, None
    return None, (
        f"The wait asked for with {_CLOCK} is longer than {_LONGEST.days:,} days: "
        "shorten it, or leave the mark out."
    )
