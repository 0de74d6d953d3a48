"""`hermes-session.json`: which agent session belongs to which conversation.

    {"session_id": "ses_1", "updated_at": "...", "conversations": {"telegram:5": {...}, ...}}

The original knew one session for everybody: the two members on top.  It is read as that of the
machine's own conversation, and that conversation's is written there too, so that an older reader
still finds it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from attrs import field, frozen

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.order import EMPTY, JSONObject, JSONValue
from galaxy_core.domain.session import Session
from galaxy_core.wire.fields import FieldReader
from galaxy_core.wire.json_text import read_object, write_object
from galaxy_core.wire.overlay import Table, all_members, put_changes, time_writer

__all__ = ["SessionBook", "decode_sessions", "encode_sessions"]

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_TOP = ("session_id", "updated_at")


@frozen
class SessionBook:
    """All that the file says."""

    sessions: Mapping[ConversationKey, Session] = field(factory=dict)
    wire: JSONObject = field(default=EMPTY, eq=False, repr=False)
    """The object as it was read."""

    def put(self, session: Session) -> SessionBook:
        """The book with `session` in place of what was known of its conversation."""
        return SessionBook({**self.sessions, session.conversation: session}, self.wire)

    def without(self, conversations: Collection[ConversationKey]) -> SessionBook:
        """The book that knows nothing of these conversations."""
        entries = self.wire.get("conversations")
        wire = dict(self.wire)
        if type(entries) is dict:
            wire["conversations"] = {k: v for k, v in entries.items() if k not in conversations}
        kept = {k: session for k, session in self.sessions.items() if k not in conversations}
        return SessionBook(kept, wire)


def decode_sessions(data: bytes, *, default: ConversationKey) -> SessionBook:
    """Read the file; `default` is the machine's own conversation.

    Raises `UnreadableFile` for what is not one JSON object; entries that make no sense are left
    out, and kept in the file.
    """
    wire = read_object(data, name="The file of sessions")
    entries = wire.get("conversations")
    sessions = {
        ConversationKey(key): _session_from(entry, ConversationKey(key))
        for key, entry in (entries.items() if type(entries) is dict else ())
        if type(entry) is dict
    }
    top = _session_from({key: wire.get(key) for key in _TOP}, default)
    known = sessions.get(default)
    if top.session_id is not None and (known is None or _is_newer(top, known)):
        # Written by the original, after us or before: what it does not know is kept.
        sessions[default] = Session(
            conversation=default,
            session_id=top.session_id,
            updated_at=top.updated_at,
            dispatcher=known.dispatcher if known else None,
            agent=known.agent if known else None,
            model=known.model if known else None,
            wire=known.wire if known else EMPTY,
        )
    return SessionBook(sessions, wire)


def encode_sessions(book: SessionBook, *, default: ConversationKey) -> bytes:
    """Write the file: what was read, with what is different by now."""
    members = dict(book.wire)
    entries = members.pop("conversations", None)
    conversations = dict(entries) if type(entries) is dict else {}
    conversations |= {key: _session_members(s) for key, s in book.sessions.items()}
    top: dict[str, JSONValue] = {}
    for key in _TOP:
        members.pop(key, None)
    own = book.sessions.get(default)
    if own is not None and own.session_id is not None:
        written = _session_members(own)
        top = {key: written[key] for key in _TOP if key in written}
    return write_object({**top, **members, "conversations": conversations})


def _session_from(wire: JSONObject, conversation: ConversationKey) -> Session:
    read = FieldReader(wire)
    return Session(
        conversation=conversation,
        session_id=read.word("session_id"),
        updated_at=read.time("updated_at"),
        dispatcher=read.word("dispatcher"),
        agent=read.word("agent"),
        model=read.word("model"),
        wire=wire,
    )


def _session_members(session: Session) -> dict[str, JSONValue]:
    if not session.wire:
        return all_members(_MEMBERS, session)
    members = dict(session.wire)
    read = _session_from(members, session.conversation)
    put_changes(members, _MEMBERS, read=read, value=session)
    return members


def _is_newer(one: Session, other: Session) -> bool:
    if one.session_id == other.session_id:
        return False
    return (one.updated_at or _LONG_AGO) > (other.updated_at or _LONG_AGO)


_MEMBERS: Table = {
    "session_id": ("session_id", lambda session: session.session_id),
    "updated_at": time_writer("updated_at"),
    "dispatcher": ("dispatcher", lambda session: session.dispatcher),
    "agent": ("agent", lambda session: session.agent),
    "model": ("model", lambda session: session.model),
}
