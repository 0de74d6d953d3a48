"""Lines of a feed's file, and what may be joined, cut or left out before they are written.

    {"number": 7, "at": "...", "event": {"type": "text_appended", ...}, "pieces": [5, 3]}

`number` counts the events that were published.  Where neighbouring pieces of text were joined,
it is that of the last one, and `pieces` holds the length of each in characters, so that a watcher
that has seen a part of them is given exactly the rest.
"""

from __future__ import annotations

from attrs import evolve, frozen

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.operations import ProgressItem
from galaxy_core.domain.run import (
    ReasoningAppended,
    RunEvent,
    TextAppended,
    ToolChanged,
    ToolStatus,
)
from galaxy_core.wire.events import decode_item, encode_item
from galaxy_core.wire.json_text import read_object

MAX_DETAIL = 2_000
"""Characters of a tool's output that are kept: what a person sees at a glance."""


@frozen
class Line:
    """An item, and what it was joined from."""

    item: ProgressItem
    pieces: tuple[int, ...] = ()
    """Lengths in characters of the joined pieces; empty for what was not joined."""

    @property
    def number(self) -> int:
        return self.item.number

    @property
    def first_number(self) -> int:
        return self.number - len(self.pieces) + 1 if self.pieces else self.number

    def after(self, seen: int) -> ProgressItem | None:
        """What is new in it for somebody who has seen the events up to number `seen`."""
        if self.number <= seen:
            return None
        event = self.item.event
        if seen < self.first_number or not isinstance(event, TextAppended | ReasoningAppended):
            return self.item
        start = sum(self.pieces[: seen - self.first_number + 1])
        return evolve(self.item, event=evolve(event, text=event.text[start:]))

    def joined_with(self, newer: ProgressItem) -> Line | None:
        """This line with the event after it, when one line can stand for both."""
        old, new = self.item.event, newer.event
        match old, new:
            case (TextAppended(), TextAppended()) if old.part == new.part:
                event: RunEvent = evolve(new, text=old.text + new.text)
            case (ReasoningAppended(), ReasoningAppended()) if old.part == new.part:
                event = evolve(new, text=old.text + new.text)
            case (ToolChanged(), ToolChanged()) if (
                old.call_id == new.call_id and old.status is new.status is ToolStatus.RUNNING
            ):
                return Line(newer)  # a newer end of the same output
            case _:
                return None
        pieces = (*(self.pieces or (len(old.text),)), len(new.text))
        return Line(evolve(newer, event=event), pieces)

    def encode(self) -> bytes:
        line = encode_item(self.item)
        if len(self.pieces) <= 1:
            return line
        pieces = ", ".join(map(str, self.pieces))
        return b'%b, "pieces": [%b]}\n' % (line[:-2], pieces.encode())


def decode(data: bytes) -> Line | None:
    """Read one line; None for one that was torn, or that a newer version wrote."""
    try:
        item = decode_item(data)
        if b'"pieces": [' not in data:
            return Line(item)
        pieces = read_object(data, name="The line").get("pieces")
    except UnreadableFile:
        return None
    if not isinstance(pieces, list):
        return Line(item)
    return Line(item, tuple(piece for piece in pieces if isinstance(piece, int)))


def shortened(event: RunEvent) -> RunEvent:
    """The event with a tool's output cut to its end."""
    if isinstance(event, ToolChanged) and len(event.detail) > MAX_DETAIL:
        return evolve(event, detail="…" + event.detail[-MAX_DETAIL:])
    return event
