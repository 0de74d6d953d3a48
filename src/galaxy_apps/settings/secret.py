"""A string that never shows itself."""

from __future__ import annotations

from typing import NoReturn

MASK = "********"


class Secret:
    """Wraps a token or a password so that no log, traceback or table ever holds it.

    `reveal()` is the only way out and easy to search for.  Equality is by value, so that settings
    can be compared; hashing and pickling are refused, since both have no use here.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself: hand it straight to whoever needs it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    __hash__ = None  # type: ignore[assignment]  # unhashable on purpose

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
