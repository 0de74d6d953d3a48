"""Port: the list of commands that a channel shows its people."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen


@frozen
class MenuEntry:
    """One command of the menu."""

    command: str
    """Without the slash: 1 to 32 of a-z, 0-9 and _."""
    description: str
    """1 to 256 characters."""


class CommandMenu(Protocol):
    """A channel that lists commands where people write."""

    @abstractmethod
    async def publish(
        self, everyone: Sequence[MenuEntry], people: Mapping[str, Sequence[MenuEntry]]
    ) -> None:
        """Set the menu for everyone, and another one for each person (by id) named.

        Raises `TransientError`; safe twice.
        """
