"""What the gateway needs of the courier besides letters."""

from __future__ import annotations

from typing import Protocol

from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Card, Hint


class Shows(Protocol):
    """Changes messages and gives hints; no method waits, none fails."""

    def show(
        self, key: str, card: Card, address: Address, *, message_id: str | None = None
    ) -> None:
        """Show the newest state of a card.

        In the message that shows it so far: the one remembered under `key`, else `message_id`.
        """

    def retire(self, key: str, card: Card | None) -> None:
        """Show the last state of a card that was shown (None: as it is), and forget it."""

    def hint(self, hint: Hint, address: Address) -> None:
        """Give a hint."""
