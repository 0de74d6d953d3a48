"""What is in a copy of a machine's folder, and what was found when it was checked."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath

from attrs import field, frozen

FORMAT = 1
"""Of the copy's manifest; a higher one is refused."""


class Reading(enum.StrEnum):
    """How a part of the folder is read."""

    FILES = "files"
    """Plain files, those in folders below included."""
    LINKS = "links"
    """Symbolic links, as links."""
    HELD = "held"
    """Orders that a worker holds, copied as orders that wait."""
    ANSWERS = "answers"
    """Responses: those that are not in the copy yet, of orders whose archive is."""
    DATABASE = "database"
    """An SQLite database, as it is at one moment."""
    TRAIL_LENGTH = "trail_length"
    """How far the audit trail reaches now; it is copied up to there later."""
    TRAIL = "trail"


@frozen(kw_only=True)
class Step:
    """One part of the folder, read in its turn."""

    reading: Reading
    path: PurePosixPath = field(converter=PurePosixPath)
    """Relative to the folder."""
    pattern: str = "*"
    """Which names, for files of one folder."""
    is_deep: bool = False


@frozen(kw_only=True)
class BackupReport:
    """A copy that was made, or put in place."""

    files: int
    size: int
    """Bytes before they were compressed."""
    trail_head: str | None
    """Digest of the last line of the trail in it."""
    trail_lines: int
    has_secrets: bool
    version: str
    """Of the program that made the copy."""
    made_at: str
