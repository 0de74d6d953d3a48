"""Reading notes of ours.  One that cannot be read (another version wrote it) is left where it is.

It is logged and passed over: one bad record must not hold up everybody else's messages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import structlog

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.ports.note_store import Note
from galaxy_core.wire.structure import from_json

log = structlog.get_logger(__name__)

T = TypeVar("T")


def read(note: Note | None, kind: type[T]) -> T | None:
    """What the note holds; None when there is none, or it cannot be read."""
    if note is None:
        return None
    try:
        return from_json(note.value, kind, name=f"The note on {note.kind} {note.key}")
    except UnreadableFile as error:
        log.error("note.unreadable", kind=note.kind, error=str(error))
        return None


def read_all(notes: Iterable[Note], kind: type[T]) -> list[T]:
    """What those of the notes hold that can be read."""
    return [value for note in notes if (value := read(note, kind)) is not None]
