"""Lines of an order's run journal: tickets, and the settlement."""

from __future__ import annotations

from typing import TypeAlias

from galaxy_core.domain.delivery import Settlement, Ticket
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.wire.json_text import read_object, write_line
from galaxy_core.wire.structure import from_json, to_json

__all__ = ["JournalEntry", "decode_entry", "encode_entry"]

JournalEntry: TypeAlias = Ticket | Settlement

_TICKET, _SETTLEMENT = "ticket", "settlement"


def encode_entry(entry: JournalEntry) -> bytes:
    """Write one line, its line break included."""
    kind = _TICKET if isinstance(entry, Ticket) else _SETTLEMENT
    return write_line({"type": kind, **to_json(entry)})


def decode_entry(line: bytes) -> JournalEntry:
    """Read one line.  Raises `UnreadableFile` for what is none, a torn one for example."""
    members = read_object(line, name="The line")
    match members.get("type"):
        case "ticket":
            return from_json(members, Ticket, name="The ticket")
        case "settlement":
            return from_json(members, Settlement, name="The settlement")
        case _:
            raise UnreadableFile("The line is neither a ticket nor a settlement.")
