"""What the original system has left in a folder; nothing is changed."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from pathlib import Path

from attrs import frozen

from galaxy_adapters._files import read_plain_file, storage_errors
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.wire.layout import Layout

__all__ = ["OldLayout", "schema_version", "survey"]

_LARGEST = 64 << 20
_UNUSED = ("users.db", "jobs.sqlite")


@frozen(kw_only=True)
class OldLayout:
    """Counts and names."""

    old_orders: int
    """Waiting orders of older shapes (without a `type`)."""
    orphans: tuple[str, ...]
    """Orders marked as being worked on that no worker of ours holds."""
    sent_letters: int
    """Letters that were sent and still lie in the outbox."""
    has_old_session: bool
    unused: tuple[str, ...]
    """Files that nothing reads any more."""


def survey(layout: Layout) -> OldLayout:
    """Look at all of it.  Blocks.  Raises `StorageUnavailable`."""
    with storage_errors("read", layout.notepads):
        held = layout.queue_state / "held"
        names = {ball.name.split("~", 2)[-1] for lane in _list(held) for ball in _list(lane)}
        orders, letters = _list(layout.orders), _list(layout.outbox)
        session = _members(layout.sessions)
        return OldLayout(
            old_orders=sum(
                "type" not in _members(path) for path in orders if path.name.endswith(".json")
            ),
            orphans=tuple(
                path.name
                for path in orders
                if path.name.endswith(".processing")
                and path.name.removesuffix(".processing") not in names
            ),
            sent_letters=sum(_members(path).get("sent") is True for path in letters),
            has_old_session="session_id" in session and "conversations" not in session,
            unused=tuple(n for n in _UNUSED if os.path.lexists(layout.settings_folder / n)),
        )


def schema_version(path: Path) -> int | None:
    """The version that an SQLite file says of itself; None when there is none to be read."""
    if not path.is_file():  # SQLite waits for a pipe
        return None
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection,
    ):
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    return None


def _members(path: Path) -> dict[str, object]:
    try:
        found = json.loads(read_plain_file(path, limit=_LARGEST)[0])
    except (FileNotFoundError, UnreadableFile, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _list(folder: Path) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []
