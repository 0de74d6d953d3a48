"""Errors of the command line itself."""

from __future__ import annotations

from collections.abc import Iterable


class UsageError(Exception):
    """The command line is wrong; the message is a sentence without its full stop."""

    def __init__(self, message: str, prog: str = "galaxy") -> None:
        super().__init__(message)
        self.prog = prog
        """The command as far as it was understood."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence that names the known word which was probably meant, if any."""
    import difflib

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{found[0]}"?' if found else ""
