"""Conversations and their sessions, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from attrs import define, evolve, field

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.session import Session
from galaxy_core.ports.session_store import SessionStore
from galaxy_core.testing.faults import Faults

_NEVER = datetime.min.replace(tzinfo=UTC)


@define(eq=False)
class MemorySessionStore(SessionStore):
    """One session per conversation; writes are named `sessions.<method>`."""

    sessions: dict[ConversationKey, Session] = field(factory=dict)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def get(self, conversation: ConversationKey) -> Session | None:
        async with self.faults.around("sessions.get", is_write=False):
            return self.sessions.get(conversation)

    async def put(self, session: Session) -> None:
        async with self.faults.around("sessions.put"):
            self.sessions[session.conversation] = session

    async def list(self) -> Sequence[Session]:
        async with self.faults.around("sessions.list", is_write=False):
            return sorted(
                self.sessions.values(), key=lambda s: s.updated_at or _NEVER, reverse=True
            )

    async def reset(self, conversation: ConversationKey) -> bool:
        async with self.faults.around("sessions.reset"):
            known = self.sessions.get(conversation)
            if known is None or known.session_id is None:
                return False
            self.sessions[conversation] = evolve(known, session_id=None, dispatcher=None)
            return True
