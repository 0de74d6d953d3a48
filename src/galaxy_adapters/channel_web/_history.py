"""What each deed does in the history's tables; each function is called inside a transaction."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

from attrs import frozen

from galaxy_core.domain.order import JSONObject

INBOX = "inbox"
"""Where letters to everybody go."""
FIRST = "general"
_TITLES = {INBOX: "Inbox", FIRST: "General"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MESSAGE = "id, slug, at, number, key, body"
_PREVIEW = 120


@frozen
class StoredFile:
    """A file of the history; it lies under its id."""

    id: str
    name: str
    mime: str
    size: int


@frozen
class Change:
    """Something that a page shows, as it is now."""

    name: str
    data: JSONObject
    number: int


def last_number(db: sqlite3.Connection) -> int:
    """The number of the latest change."""
    return int(db.execute("SELECT last FROM numbers").fetchone()[0])


def _next_number(db: sqlite3.Connection) -> int:
    db.execute("UPDATE numbers SET last = last + 1")
    return last_number(db)


# ---- conversations


def conversations(db: sqlite3.Connection, person: str) -> list[JSONObject]:
    """All of one person, the one used last first."""
    rows = db.execute(
        "SELECT slug FROM conversations WHERE person = ? ORDER BY number DESC", (person,)
    ).fetchall()
    found = [conversation(db, person, slug) for (slug,) in rows]
    views = [view for view in found if view is not None]
    return sorted(views, key=lambda view: str(view["last_at"]), reverse=True)


def conversation(db: sqlite3.Connection, person: str, slug: str) -> JSONObject | None:
    """One conversation as the page shows it."""
    row = db.execute(
        "SELECT title, created_at, number FROM conversations WHERE person = ? AND slug = ?",
        (person, slug),
    ).fetchone()
    if row is None:
        return None
    title, created_at, number = row
    last = db.execute(
        "SELECT at, body FROM messages WHERE person = ? AND slug = ? ORDER BY id DESC LIMIT 1",
        (person, slug),
    ).fetchone()
    text = "" if last is None else " ".join(str(json.loads(last[1]).get("text", "")).split())
    return {
        "id": slug,
        "title": title,
        "created_at": _iso(created_at),
        "last_at": _iso(created_at if last is None else last[0]),
        "last_text": text[:_PREVIEW],
        "is_inbox": slug == INBOX,
        "number": number,
    }


def ensure_conversation(db: sqlite3.Connection, person: str, slug: str, at: datetime) -> bool:
    """Make the conversation unless it is there; whether it was made."""
    title = _TITLES.get(slug, slug.replace("-", " ").capitalize())
    known = db.execute(
        "SELECT 1 FROM conversations WHERE person = ? AND slug = ?", (person, slug)
    ).fetchone()
    if known is not None:
        return False
    db.execute(
        "INSERT INTO conversations VALUES (?, ?, ?, ?, ?)",
        (person, slug, title, _micros(at), _next_number(db)),
    )
    return True


def create_conversation(
    db: sqlite3.Connection, person: str, title: str, at: datetime, most: int
) -> Change | None:
    """Make a conversation of that title; None when there are too many."""
    slugs = {
        slug for (slug,) in db.execute("SELECT slug FROM conversations WHERE person = ?", (person,))
    }
    if len(slugs) >= most:
        return None
    stem = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:40].strip("-") or "chat"
    slug, count = stem, 1
    while slug in slugs or slug in _TITLES:
        count += 1
        slug = f"{stem}-{count}"
    ensure_conversation(db, person, slug, at)
    return rename_conversation(db, person, slug, title)


def rename_conversation(
    db: sqlite3.Connection, person: str, slug: str, title: str
) -> Change | None:
    """Give it another title; None when there is none."""
    done = db.execute(
        "UPDATE conversations SET title = ?, number = ? WHERE person = ? AND slug = ?",
        (title, _next_number(db), person, slug),
    )
    return conversation_change(db, person, slug) if done.rowcount else None


def conversation_change(db: sqlite3.Connection, person: str, slug: str) -> Change | None:
    """The conversation for pages."""
    view = conversation(db, person, slug)
    return None if view is None else Change("conversation", view, cast("int", view["number"]))


# ---- messages


def add_message(
    db: sqlite3.Connection,
    person: str,
    slug: str,
    at: datetime,
    body: JSONObject,
    key: str | None = None,
) -> list[Change]:
    """Add a message, and its conversation if that is gone; what pages have to be told."""
    is_first = ensure_conversation(db, person, slug, at)
    number = _next_number(db)
    done = db.execute(
        "INSERT INTO messages (person, slug, at, number, key, body) VALUES (?, ?, ?, ?, ?, ?)",
        (person, slug, _micros(at), number, key, _json(body)),
    )
    found = message(db, person, cast("int", done.lastrowid))
    assert found is not None  # noqa: S101 - it was just added
    made = conversation_change(db, person, slug) if is_first else None
    return [*([made] if made else []), Change("message", found, number)]


def change_message(
    db: sqlite3.Connection, person: str, message_id: int, body: JSONObject
) -> Change | None:
    """Replace what a message shows; None when it is gone."""
    number = _next_number(db)
    done = db.execute(
        "UPDATE messages SET body = ?, number = ? WHERE id = ? AND person = ?",
        (_json(body), number, message_id, person),
    )
    found = message(db, person, message_id) if done.rowcount else None
    return None if found is None else Change("message", found, number)


def message(db: sqlite3.Connection, person: str, message_id: int) -> JSONObject | None:
    """One message of that person."""
    return _message(db, "id = ? AND person = ?", (message_id, person))


def message_of_key(db: sqlite3.Connection, person: str, key: str) -> JSONObject | None:
    """The message that was sent under that key."""
    return _message(db, "key = ? AND person = ?", (key, person))


def _message(db: sqlite3.Connection, which: str, values: tuple[object, ...]) -> JSONObject | None:
    row = db.execute(
        f"SELECT {_MESSAGE} FROM messages WHERE {which}",  # noqa: S608 - ours
        values,
    ).fetchone()
    return None if row is None else _view(row)


def messages(
    db: sqlite3.Connection, person: str, slug: str, before: int | None, limit: int
) -> tuple[list[JSONObject], bool]:
    """The newest messages (older than `before`), oldest first, and whether there are more."""
    rows = db.execute(
        f"SELECT {_MESSAGE} FROM messages WHERE person = ? AND slug = ? AND id < ?"  # noqa: S608 - ours
        " ORDER BY id DESC LIMIT ?",
        (person, slug, before if before is not None else 1 << 62, limit + 1),
    ).fetchall()
    return [_view(row) for row in reversed(rows[:limit])], len(rows) > limit


def changes(db: sqlite3.Connection, person: str, after: int, limit: int) -> list[Change] | None:
    """What has changed since, in order; None when that is too much, or `after` never was."""
    if after > last_number(db):
        return None
    rows = db.execute(
        f"SELECT {_MESSAGE} FROM messages WHERE person = ? AND number > ? ORDER BY number LIMIT ?",  # noqa: S608 - ours
        (person, after, limit + 1),
    ).fetchall()
    if len(rows) > limit:
        return None
    found = [Change("message", _view(row), row[3]) for row in rows]
    for (slug,) in db.execute(
        "SELECT slug FROM conversations WHERE person = ? AND number > ?", (person, after)
    ).fetchall():
        change = conversation_change(db, person, slug)
        if change is not None:
            found.append(change)
    return sorted(found, key=lambda change: change.number)


def letter_message(db: sqlite3.Connection, person: str, slug: str, name: str) -> int | None:
    """The message that shows the letter of that name, if one of the newest does."""
    rows = db.execute(
        "SELECT id, body FROM messages WHERE person = ? AND slug = ? ORDER BY id DESC LIMIT 200",
        (person, slug),
    )
    return next((int(i) for i, body in rows if json.loads(body).get("letter") == name), None)


# ---- what the gateway has to hear


def add_inbound(db: sqlite3.Connection, key: str, at: datetime, value: JSONObject) -> bool:
    """Put something down for the gateway; False when its key was there before."""
    done = db.execute(
        "INSERT INTO inbound (key, at, value) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
        (key, _micros(at), _json(value)),
    )
    return done.rowcount == 1


def open_inbound(db: sqlite3.Connection, after: int) -> list[tuple[int, JSONObject]]:
    """What was not confirmed, behind that place, in order."""
    rows = db.execute(
        "SELECT place, value FROM inbound WHERE value IS NOT NULL AND place > ? ORDER BY place"
        " LIMIT 100",
        (after,),
    )
    return [(place, json.loads(value)) for place, value in rows]


def confirm(db: sqlite3.Connection, key: str) -> None:
    """Forget the value, remember the key."""
    db.execute("UPDATE inbound SET value = NULL WHERE key = ?", (key,))


def prune_inbound(db: sqlite3.Connection, before: datetime) -> None:
    """Forget keys that were confirmed and are older than that; messages know theirs anyway."""
    db.execute("DELETE FROM inbound WHERE value IS NULL AND at < ?", (_micros(before),))


# ---- the past


def old_messages(db: sqlite3.Connection, before: datetime) -> tuple[int, int, list[str]]:
    """How many messages are older, their bytes, and the ids of their files."""
    at = _end_of_past(db, before)
    count, size = db.execute(
        "SELECT count(*), coalesce(sum(length(CAST(body AS BLOB))), 0) FROM messages WHERE at < ?",
        (at,),
    ).fetchone()
    bodies = db.execute(
        "SELECT body FROM messages WHERE at < ? AND body NOT LIKE '%\"files\":[]%'", (at,)
    )
    files = [str(file["id"]) for (body,) in bodies for file in json.loads(body).get("files", ())]
    return int(count), int(size), files


def forget_messages(db: sqlite3.Connection, before: datetime) -> tuple[int, int, list[str]]:
    """Remove them; what `old_messages` says of them."""
    found = old_messages(db, before)
    db.execute("DELETE FROM messages WHERE at < ?", (_end_of_past(db, before),))
    db.executemany("DELETE FROM files WHERE id = ?", [(file_id,) for file_id in found[2]])
    return found


def _end_of_past(db: sqlite3.Connection, before: datetime) -> int:
    """That moment, or an earlier one: of the oldest thing that the gateway has not heard yet."""
    oldest = db.execute("SELECT min(at) FROM inbound WHERE value IS NOT NULL").fetchone()[0]
    return _micros(before) if oldest is None else min(int(oldest), _micros(before))


# ---- files


def add_file(db: sqlite3.Connection, person: str, file: StoredFile) -> None:
    """Note a file that lies in its place."""
    db.execute(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?)",
        (file.id, person, file.name, file.mime, file.size),
    )


def file(db: sqlite3.Connection, file_id: str, person: str | None = None) -> StoredFile | None:
    """A file, of that person if one is named."""
    row = db.execute(
        "SELECT id, name, mime, size, person FROM files WHERE id = ?", (file_id,)
    ).fetchone()
    if row is None or (person is not None and row[4] != person):
        return None
    return StoredFile(*row[:4])


def file_ids(db: sqlite3.Connection) -> set[str]:
    """All that are known."""
    return {file_id for (file_id,) in db.execute("SELECT id FROM files")}


def _view(row: Sequence[object]) -> JSONObject:
    message_id, slug, at, number, key, body = row
    content = json.loads(cast("str", body))
    content.pop("letter", None)
    content.pop("chat_id", None)
    head = {"id": str(message_id), "conversation": slug, "at": _iso(cast("int", at))}
    return cast("JSONObject", head | {"number": number, "key": key} | content)


def chat_of(db: sqlite3.Connection, person: str, message_id: int) -> str | None:
    """The chat id that a message of ours was sent to."""
    row = db.execute(
        "SELECT body FROM messages WHERE id = ? AND person = ?", (message_id, person)
    ).fetchone()
    chat = None if row is None else json.loads(row[0]).get("chat_id")
    return chat if isinstance(chat, str) else None


def _json(value: JSONObject) -> str:
    # Halves of characters cannot be stored, and no page can show them.
    text = json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace").decode()


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _iso(micros: int) -> str:
    return (_EPOCH + timedelta(microseconds=micros)).isoformat(timespec="milliseconds")
