"""Notes, kept in memory."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime

from attrs import define, field

from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import ClosedKey, Note, NoteStore
from galaxy_core.testing.faults import Faults


@define(eq=False)
class KeptNote:
    """What is known of one key."""

    text: str | None
    """The value as JSON, so that nobody can change it from outside; None when it is closed."""
    closed_at: datetime | None = None


@define(eq=False)
class NoteBox:
    """The notes themselves: what outlives every process that opens it."""

    kinds: dict[str, dict[str, KeptNote]] = field(factory=dict)
    """By kind and key, in the order in which the keys came in."""


@define(eq=False)
class MemoryNoteStore(NoteStore):
    """One process's view of a box of notes; operations are named `notes.<method>`."""

    _clock: Clock
    box: NoteBox = field(factory=NoteBox)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def get(self, kind: str, key: str) -> Note | None:
        async with self.faults.around("notes.get", is_write=False):
            kept = self.box.kinds.get(kind, {}).get(key)
            return None if kept is None else _note(kind, key, kept)

    async def list(self, kind: str) -> Sequence[Note]:
        async with self.faults.around("notes.list", is_write=False):
            found = self.box.kinds.get(kind, {}).items()
            notes = (_note(kind, key, kept) for key, kept in found)
            return [note for note in notes if note is not None]

    async def add(self, notes: Sequence[Note]) -> frozenset[str]:
        texts = [_text(note) for note in notes]  # all of them, before the first is kept
        async with self.faults.around("notes.add"):
            new = set()
            for note, text in zip(notes, texts, strict=True):
                kept = self.box.kinds.setdefault(note.kind, {})
                if note.key not in kept:
                    kept[note.key] = KeptNote(text)
                    new.add(note.key)
            return frozenset(new)

    async def put(self, notes: Sequence[Note]) -> None:
        texts = [_text(note) for note in notes]
        async with self.faults.around("notes.put"):
            for note, text in zip(notes, texts, strict=True):
                self.box.kinds.setdefault(note.kind, {})[note.key] = KeptNote(text)

    async def close(self, kind: str, keys: Collection[str]) -> None:
        async with self.faults.around("notes.close"):
            kept = self.box.kinds.setdefault(kind, {})
            for key in keys:
                known = kept.get(key)
                if known is None or known.closed_at is None:
                    kept[key] = KeptNote(None, self._clock.now())

    async def prune(self, kind: str, before: datetime) -> int:
        async with self.faults.around("notes.prune"):
            kept = self.box.kinds.get(kind, {})
            over = [
                key
                for key, known in kept.items()
                if known.closed_at is not None and known.closed_at < before
            ]
            for key in over:
                del kept[key]
            return len(over)

    async def closed(
        self, kind: str, *, after: ClosedKey | None = None, limit: int = 1000
    ) -> Sequence[ClosedKey]:
        async with self.faults.around("notes.closed", is_write=False):
            known = self.box.kinds.get(kind, {}).items()
            keys = [ClosedKey(key=k, at=n.closed_at) for k, n in known if n.closed_at is not None]
            keys.sort(key=_place)
            return [each for each in keys if after is None or _place(each) > _place(after)][:limit]


def _place(closed: ClosedKey) -> tuple[datetime, bytes]:
    return closed.at, closed.key.encode("utf-8", "surrogatepass")


def _text(note: Note) -> str:
    return json.dumps(dict(note.value), ensure_ascii=False, allow_nan=False)


def _note(kind: str, key: str, kept: KeptNote) -> Note | None:
    if kept.text is None:
        return None
    return Note(kind=kind, key=key, value=json.loads(kept.text))
