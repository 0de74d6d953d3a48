"""What the fake opencode keeps on disk: sessions, messages, and how often the model was asked.

Written as it goes, like the original: a process that is killed leaves unfinished messages and
tool calls that are `running` for ever, and the next process reads them.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]
"""A JSON object in opencode's own shape."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (id TEXT PRIMARY KEY, directory TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS message (
    place INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, session TEXT, content TEXT);
CREATE TABLE IF NOT EXISTS todo (session TEXT PRIMARY KEY, content TEXT);
CREATE TABLE IF NOT EXISTS call (prompt TEXT);
"""


class Store:
    """One database file, for any number of processes."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(file, timeout=10, isolation_level=None)
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Give the file back."""
        self._database.close()

    # ---- sessions

    def session(self, session_id: str) -> Document | None:
        """The session's description; None when there is no such session."""
        return self._one("SELECT content FROM session WHERE id = ?", session_id)

    def put_session(self, session: Document) -> None:
        """Add a session or replace its description."""
        self._database.execute(
            "INSERT OR REPLACE INTO session VALUES (?, ?, ?)",
            (session["id"], session["directory"], json.dumps(session)),
        )

    def sessions(self, directory: str | None = None) -> list[Document]:
        """Sessions of a folder or of all, newest first."""
        found = self._many("SELECT content FROM session ORDER BY rowid DESC")
        return [one for one in found if directory in (None, one["directory"])]

    def delete_session(self, session_id: str) -> None:
        """Forget a session, its children and all their messages."""
        for child in self.sessions():
            if child.get("parentID") == session_id:
                self.delete_session(child["id"])
        for table, column in (("session", "id"), ("message", "session"), ("todo", "session")):
            statement = f"DELETE FROM {table} WHERE {column} = ?"  # noqa: S608 - names from above
            self._database.execute(statement, (session_id,))

    # ---- messages

    def messages(self, session_id: str) -> list[Document]:
        """Messages of a session with their parts, oldest first by their dates, then their ids.

        As the original orders them, also when the clock was set back in between.
        """
        found = self._many(
            "SELECT content FROM message WHERE session = ? ORDER BY place", session_id
        )
        return sorted(found, key=lambda one: (one["info"]["time"]["created"], one["info"]["id"]))

    def message(self, message_id: str) -> Document | None:
        """One message; None when there is none of that id."""
        return self._one("SELECT content FROM message WHERE id = ?", message_id)

    def put_message(self, message: Document) -> None:
        """Add a message at the end of its session, or replace it where it stands."""
        info = message["info"]
        self._database.execute(
            "INSERT INTO message (id, session, content) VALUES (?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET content = excluded.content",
            (info["id"], info["sessionID"], json.dumps(message)),
        )

    # ---- the rest

    def todos(self, session_id: str) -> list[Document]:
        """The session's todo list."""
        found = self._database.execute(
            "SELECT content FROM todo WHERE session = ?", (session_id,)
        ).fetchone()
        todos: list[Document] = json.loads(found[0]) if found else []
        return todos

    def put_todos(self, session_id: str, todos: list[Document]) -> None:
        """Replace the session's todo list."""
        self._database.execute(
            "INSERT OR REPLACE INTO todo VALUES (?, ?)", (session_id, json.dumps(todos))
        )

    def note_call(self, prompt: str) -> None:
        """The model begins on a prompt."""
        self._database.execute("INSERT INTO call VALUES (?)", (prompt,))

    def count(self, prompt: str) -> int:
        """How often the model began on exactly this prompt."""
        row = self._database.execute(
            "SELECT count(*) FROM call WHERE prompt = ?", (prompt,)
        ).fetchone()
        return int(row[0])

    def _one(self, query: str, key: str) -> Document | None:
        found = self._many(query, key)
        return found[0] if found else None

    def _many(self, query: str, *keys: str) -> list[Document]:
        return [json.loads(row[0]) for row in self._database.execute(query, keys)]
