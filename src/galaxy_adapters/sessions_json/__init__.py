"""Conversations and their agent sessions in `.galaxy/hermes-session.json`."""

from galaxy_adapters.sessions_json.old_sessions import OldSessions
from galaxy_adapters.sessions_json.store import JsonSessionStore

__all__ = ["JsonSessionStore", "OldSessions"]
