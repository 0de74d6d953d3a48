"""Every reader of bytes from outside: a value, or `UnreadableFile`; never a crash, never a hang."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.wire.events import decode_command, decode_item
from galaxy_core.wire.heartbeat import decode_heartbeat
from galaxy_core.wire.journal import decode_entry
from galaxy_core.wire.letter import decode_letter, encode_letter
from galaxy_core.wire.order import decode_archived, decode_order, encode_order
from galaxy_core.wire.response import parse_response
from galaxy_core.wire.session import decode_sessions, encode_sessions
from tests.unit.galaxy_core.wire.strategies import outside_bytes

NOW = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)
MACHINE = ConversationKey("machine:lab")

READERS: dict[str, Callable[[bytes], object]] = {
    "order": lambda data: encode_order(decode_order(data, name="../x\n", received_at=NOW)),
    "archive": lambda data: decode_archived(data, name="x"),
    "letter": lambda data: encode_letter(decode_letter(data, name="x"), sent_at=NOW),
    "response": lambda data: parse_response(data, order_id="x", written_at=NOW),
    "sessions": lambda data: encode_sessions(
        decode_sessions(data, default=MACHINE), default=MACHINE
    ),
    "heartbeat": decode_heartbeat,
    "event": decode_item,
    "command": decode_command,
    "journal": decode_entry,
}


@pytest.mark.parametrize("kind", READERS)
@settings(deadline=timedelta(seconds=2))
@given(outside_bytes)
def test_reader(kind: str, data: bytes) -> None:
    """Any bytes at all are understood, or refused as unreadable with a sentence."""
    try:
        READERS[kind](data)
    except UnreadableFile as error:
        assert str(error).endswith(".")  # noqa: PT017 - only some inputs raise
