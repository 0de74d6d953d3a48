"""Telling commands from other text."""

from __future__ import annotations


def command_of(text: str) -> tuple[str, str] | None:
    """Name and arguments of `/name arguments`; None for any other text.

    A path such as `/etc/hosts` is no command, nor is a slash alone.
    """
    if not text.startswith("/"):
        return None
    words = text[1:].split(maxsplit=1)
    name = words[0].casefold() if words and not text[1:2].isspace() else ""
    rest = words[1] if len(words) > 1 else ""
    if not name or not name.isascii() or not name.replace("_", "").isalnum():
        return None
    return name, rest
