"""Each kind of file with its reader and its writer."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from pprint import pformat
from typing import Any

import attrs
from attrs import frozen

from galaxy_core.domain.ids import ConversationKey
from galaxy_core.wire.events import decode_command, decode_item, encode_command, encode_item
from galaxy_core.wire.heartbeat import decode_heartbeat, encode_heartbeat
from galaxy_core.wire.journal import decode_entry, encode_entry
from galaxy_core.wire.letter import decode_letter, encode_letter
from galaxy_core.wire.order import decode_archived, decode_order, encode_archived, encode_order
from galaxy_core.wire.response import encode_response, parse_response
from galaxy_core.wire.session import decode_sessions, encode_sessions

FOLDER = Path(__file__).parent
RECEIVED = datetime(2026, 2, 2, 18, 0, tzinfo=UTC)
MACHINE = ConversationKey("machine:lab")


def _archived(data: bytes, name: str) -> tuple[object, bytes]:
    order, ending = decode_archived(data, name=name)
    assert ending is not None
    return (order, ending), encode_archived(order, ending)


def _order(data: bytes, name: str) -> tuple[object, bytes]:
    order = decode_order(data, name=name, received_at=RECEIVED)
    return order, encode_order(order)


def _letter(data: bytes, name: str) -> tuple[object, bytes]:
    letter = decode_letter(data, name=name)
    return letter, encode_letter(letter)


def _response(data: bytes, name: str) -> tuple[object, bytes]:
    response = parse_response(data, order_id=name, written_at=RECEIVED)
    return response, encode_response(response)


def _sessions(data: bytes, name: str) -> tuple[object, bytes]:
    book = decode_sessions(data, default=MACHINE)
    return book, encode_sessions(book, default=MACHINE)


def _heartbeat(data: bytes, name: str) -> tuple[object, bytes]:
    heartbeat = decode_heartbeat(data)
    return heartbeat, encode_heartbeat(heartbeat)


def _event(data: bytes, name: str) -> tuple[object, bytes]:
    item = decode_item(data)
    return item, encode_item(item)


def _command(data: bytes, name: str) -> tuple[object, bytes]:
    command = decode_command(data)
    return command, encode_command(command)


def _journal(data: bytes, name: str) -> tuple[object, bytes]:
    entry = decode_entry(data)
    return entry, encode_entry(entry)


KINDS: dict[str, Callable[[bytes, str], tuple[object, bytes]]] = {
    "orders": _order,
    "archive": _archived,
    "letters": _letter,
    "responses": _response,
    "sessions": _sessions,
    "heartbeats": _heartbeat,
    "events": _event,
    "commands": _command,
    "journal": _journal,
}


@frozen
class Case:
    """One input."""

    path: Path

    @property
    def name(self) -> str:
        """Version, kind and file."""
        return str(self.path.relative_to(FOLDER))

    def run(self) -> tuple[str, bytes]:
        """The decoded form as text, and the encoded one."""
        value, encoded = KINDS[self.path.parent.name](self.path.read_bytes(), self.path.stem)
        return pformat(_plain(value), sort_dicts=False, width=96) + "\n", encoded

    def again(self, encoded: bytes) -> str:
        """The decoded form of what was encoded."""
        value, _ = KINDS[self.path.parent.name](encoded, self.path.stem)
        return pformat(_plain(value), sort_dicts=False, width=96) + "\n"


def cases() -> Iterator[Case]:
    """Every input of every version."""
    for path in sorted(FOLDER.glob("*/*/*")):
        if path.suffix in {".json", ".md"}:
            yield Case(path)


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever a decoder returns
    """A value as what prints the same in every version of Python."""
    if attrs.has(type(value)):
        members = {
            attribute.name: _plain(getattr(value, attribute.name))
            for attribute in attrs.fields(type(value))
            if attribute.name != "wire" and getattr(value, attribute.name) != _default(attribute)
        }
        return {"": type(value).__name__, **members}
    if isinstance(value, dict):
        return {str(key): _plain(member) for key, member in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def _default(attribute: Any) -> object:  # noqa: ANN401 - attrs' own class is generic in the value
    factory = getattr(attribute.default, "factory", None)
    return attribute.default if factory is None else factory()
