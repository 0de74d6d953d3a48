"""Which agent session serves which conversation."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.order import EMPTY, JSONObject


@frozen(kw_only=True)
class Session:
    """A conversation's thread with an agent, and what was chosen for it.

    `session_id` is the agent's own name for it and means nothing elsewhere; None while only
    choices (agent, model) are known.  `wire` keeps fields that somebody else wrote.
    """

    conversation: ConversationKey
    session_id: str | None = None
    updated_at: datetime | None = None
    dispatcher: str | None = None
    """Kind of agent that made the session id (`opencode`, ...): another kind does not know it."""
    agent: str | None = None
    model: str | None = None
    wire: JSONObject = field(default=EMPTY, eq=False, repr=False)
