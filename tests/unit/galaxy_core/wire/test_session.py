"""The file of sessions: the original's one session and ours side by side."""

import json
from datetime import UTC, datetime

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.domain.session import Session
from galaxy_core.wire.session import SessionBook, decode_sessions, encode_sessions

MACHINE = ConversationKey("machine:lab")
CHAT = ConversationKey("telegram:5")
EARLY, LATE = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)


def book_of(*sessions: Session) -> SessionBook:
    """A book of these sessions, made here."""
    book = SessionBook()
    for session in sessions:
        book = book.put(session)
    return book


def again(book: SessionBook) -> SessionBook:
    """The book after a trip to the disk."""
    return decode_sessions(encode_sessions(book, default=MACHINE), default=MACHINE)


def test_round_trip() -> None:
    """Every conversation comes back with its session and its choices."""
    book = book_of(
        Session(conversation=MACHINE, session_id="ses_1", updated_at=EARLY, dispatcher="opencode"),
        Session(conversation=CHAT, agent="plan", model="a/b", updated_at=LATE),
    )
    assert again(book) == book


def test_original_reader_finds_the_machines_session() -> None:
    """The machine's own conversation stands where the original looks for its one session."""
    data = encode_sessions(
        book_of(
            Session(conversation=MACHINE, session_id="ses_1", updated_at=EARLY),
            Session(conversation=CHAT, session_id="ses_2", updated_at=LATE),
        ),
        default=MACHINE,
    )
    written = json.loads(data)
    assert (written["session_id"], written["updated_at"]) == ("ses_1", EARLY.isoformat())


def test_original_file() -> None:
    """The original's session goes on as that of the machine's own conversation."""
    book = decode_sessions(b'{"session_id": "ses_1", "updated_at": 1770033600}', default=MACHINE)
    assert book.sessions[MACHINE].session_id == "ses_1"


def test_newer_of_two_wins() -> None:
    """After the original ran again in between, its newer session counts, and choices stay."""
    ours = Session(conversation=MACHINE, session_id="ses_1", updated_at=EARLY, agent="plan")
    written = json.loads(encode_sessions(book_of(ours), default=MACHINE))
    for at, session_id in ((LATE, "ses_2"), (datetime(2020, 1, 1, tzinfo=UTC), "ses_1")):
        members = {**written, "session_id": "ses_2", "updated_at": at.isoformat()}
        found = decode_sessions(json.dumps(members).encode(), default=MACHINE).sessions[MACHINE]
        assert (found.session_id, found.agent) == (session_id, "plan")


def test_a_session_that_was_reset_stays_reset() -> None:
    """Once forgotten, a session does not come back from the top of the file."""
    book = book_of(Session(conversation=MACHINE, session_id="ses_1", updated_at=EARLY))
    forgotten = again(book).put(Session(conversation=MACHINE, agent="plan", updated_at=LATE))
    assert again(forgotten).sessions[MACHINE].session_id is None


def test_unknown_members_are_kept() -> None:
    """What somebody else wrote stays: on top, in an entry, and entries that make no sense."""
    entries = {CHAT: {"session_id": "ses_2", "colour": "red"}, "odd": [1]}
    data = json.dumps({"note": 1, "conversations": entries}).encode()
    book = decode_sessions(data, default=MACHINE)
    changed = book.put(Session(conversation=MACHINE, session_id="ses_1", updated_at=LATE))
    written = json.loads(encode_sessions(changed, default=MACHINE))
    assert written["note"] == 1
    assert {key: written["conversations"][key] for key in entries} == entries
