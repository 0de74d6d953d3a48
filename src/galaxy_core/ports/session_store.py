"""Port: which agent session belongs to which conversation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.session import Session


class SessionStore(Protocol):
    """Conversations and their sessions; safe for several processes."""

    @abstractmethod
    async def get(self, conversation: ConversationKey) -> Session | None:
        """What is known of the conversation; None when nothing is."""

    @abstractmethod
    async def put(self, session: Session) -> None:
        """Remember it, durably, in place of what was known of its conversation.

        Raises `StorageUnavailable`.
        """

    @abstractmethod
    async def list(self) -> Sequence[Session]:
        """All conversations, the one used last first."""

    @abstractmethod
    async def reset(self, conversation: ConversationKey) -> bool:
        """Forget the session (the choices stay): the next order begins a new one.

        False when there was none.
        """
