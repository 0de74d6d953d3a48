"""The few words that the scripted agent understands, each first on its line.

    SAY text            say it
    SLEEP seconds       say nothing for so long
    PERMIT what         ask whether it may do `what`; it does nothing either way
    ASK question | a | b    ask a person
    FAIL reason         end without success

Lines without a word are prose.  A prompt without any word is repeated, with its number in the
conversation.
"""

from __future__ import annotations

import re

from attrs import frozen

_LINE = re.compile(r"^\s*(SAY|SLEEP|PERMIT|ASK|FAIL)\b:?[ \t]*(.*?)\s*$")
_LONGEST_SLEEP = 3600.0


@frozen
class Line:
    """One thing to do."""

    word: str
    rest: str

    @property
    def seconds(self) -> float:
        """How long a SLEEP lasts; one second when that is no number."""
        try:
            return min(max(float(self.rest or 1), 0.0), _LONGEST_SLEEP)
        except ValueError:
            return 1.0


def parse(prompt: str, number: int) -> list[Line]:
    """What the prompt wants done; `number` is its place in the conversation, from 1."""
    found = [Line(m[1], m[2]) for m in map(_LINE.match, prompt.splitlines()) if m]
    return found or [Line("SAY", f"echo[{number}]: {prompt}")]
