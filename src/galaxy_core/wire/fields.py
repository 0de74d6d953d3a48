"""Reading the members of an object that anybody may have written.

`FieldReader` never raises for what it finds: a member of the wrong type counts as absent, and a
full sentence that says what to do is noted in `refusals`.
"""

from __future__ import annotations

from datetime import datetime

from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.wire.times import HOW_TO_WRITE_TIMES, read_time

__all__ = ["MAX_WORD", "FieldReader", "kind_of"]

MAX_WORD = 1_000
"""Longest text, in characters, of a member that is a name and not a message."""

_KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def kind_of(value: JSONValue) -> str:
    """Name the kind of a JSON value for a sentence: `a list`, `a number`."""
    return _KINDS[type(value)]


class FieldReader:
    """The members of one object, and what is wrong with them."""

    __slots__ = ("_get", "refusals")

    def __init__(self, wire: JSONObject) -> None:
        self._get = wire.get
        self.refusals: list[str] = []
        """One sentence for each member that cannot be accepted."""

    def is_given(self, *keys: str) -> bool:
        """Whether any of `keys` says anything, be it right or wrong.  0 is a time not known."""
        values = (self._get(key) for key in keys)
        return any(value not in (None, "", 0) or value is False for value in values)

    def word(self, *keys: str) -> str | None:
        """Take the first of `keys` that is given: a short text; a number becomes one.

        None when it is absent, null or empty.
        """
        for key in keys:
            value = self._get(key)
            if value is None or value == "":
                continue
            if type(value) is int or type(value) is float:
                value = str(value)
            if type(value) is not str:
                self.refusals.append(f"`{key}` is {kind_of(value)}: write a text.")
                return None
            if len(value) <= MAX_WORD:
                return value
            self.refusals.append(
                f"`{key}` has {len(value):,} characters: write at most {MAX_WORD:,}."
            )
            return None
        return None

    def text(self, key: str) -> str | None:
        """Take a text of any length; None when it is absent or null."""
        value = self._get(key)
        if value is None or type(value) is str:
            return value
        self.refusals.append(f"`{key}` is {kind_of(value)}: write a text.")
        return None

    def time(self, *keys: str) -> datetime | None:
        """Take the first of `keys` that is given: a point in time in UTC; None when absent."""
        for key in keys:
            value = self._get(key)
            if value is None:
                continue
            try:
                found = read_time(value)
            except ValueError:
                self.refusals.append(f"`{key}` is no time that can be read: {HOW_TO_WRITE_TIMES}.")
                return None
            if found is not None:
                return found
        return None

    def items(self, key: str) -> list[JSONValue]:
        """Take a list; what is no list counts as a list of one, what is absent as an empty one."""
        value = self._get(key)
        if value is None:
            return []
        return value if type(value) is list else [value]

    def flag(self, key: str) -> bool:
        """Whether it is true, however it is written (`true`, `"true"`, `1`)."""
        value = self._get(key)
        return value is True or value == 1 or (type(value) is str and value.casefold() == "true")
