"""What the heartbeat file does when it cannot be written or read; the rest is the contract."""

from pathlib import Path

import pytest

from galaxy_adapters.presence_json import JsonPresence
from galaxy_core.testing.factories import make_heartbeat
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio


async def test_beat_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    """A heartbeat that stops is the message; the orders go on."""
    (tmp_path / ".sisyphus").write_text("in the way")
    presence = JsonPresence(Layout(tmp_path))
    await presence.beat(make_heartbeat())
    assert await presence.read() is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"{}", b'{"last_heartbeat_at": "soon"}'])
async def test_unreadable_heartbeat_is_none(tmp_path: Path, content: bytes) -> None:
    """Whatever somebody wrote there, the reader says that it knows nothing."""
    presence = JsonPresence(Layout(tmp_path))
    await presence.beat(make_heartbeat())
    assert await presence.read() is not None
    Layout(tmp_path).heartbeat.write_bytes(content)
    assert await presence.read() is None


async def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """A beat every few seconds for years leaves one file."""
    presence = JsonPresence(Layout(tmp_path))
    for _ in range(3):
        await presence.beat(make_heartbeat())
    heartbeat = Layout(tmp_path).heartbeat
    assert list(heartbeat.parent.iterdir()) == [heartbeat]
