"""What a look at the whole folder finds, beside all that goes on meanwhile."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio.from_thread
import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderQueue, _intake
from tests.contract.files_queue import files_queue

pytestmark = pytest.mark.anyio
TEXT = b'{"payload": "Say hello", "session": "talk"}'


class Room:
    """A worker's view of a folder, and what happens while it looks."""

    def __init__(self, queue: FilesystemOrderQueue, orders: Path) -> None:
        self.intake = queue._intake
        self.orders = orders

    async def scan(self, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> None:
        """Look at the folder; `meanwhile` happens in the event loop just before it is read."""
        real = _intake._scan

        def scan(folder: str, known: list[str]) -> _intake.Scan:
            anyio.from_thread.run_sync(meanwhile)
            return real(folder, known)

        monkeypatch.setattr(_intake, "_scan", scan)
        await self.intake.scan()

    def hear(self, name: str) -> None:
        """A file is dropped in, and its notice comes."""
        (self.orders / name).write_bytes(TEXT)
        self.intake.notice(name)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    """Give a worker on an empty folder whose own looks and notices do not come by themselves."""
    async with files_queue(tmp_path) as harness:
        queue = await harness.open()
        queue._keeper._watch.close()
        yield Room(queue, harness.layout.orders)


async def test_file_that_nobody_announced_is_found(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also counts as a notice that did not come."""
    (room.orders / "silent.json").write_bytes(TEXT)
    await room.scan(monkeypatch, lambda: None)
    assert room.intake.fresh == ["silent.json"]
    room.intake.load()
    assert room.intake.index.get("silent.json") is not None


async def test_file_that_is_announced_during_the_look_is_no_surprise(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the folder's notices would be doubted, and it would be looked at each second."""
    await room.scan(monkeypatch, lambda: room.hear("late.json"))
    assert room.intake.fresh == []
    assert not room.intake.is_loading


async def test_file_that_went_is_forgotten(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody removed it, or moved the whole folder's content, and nobody said so."""
    for name in ("gone.json", "kept.json"):
        room.hear(name)
    await room.scan(monkeypatch, lambda: shutil.move(room.orders / "gone.json", room.orders.parent))
    assert list(room.intake.index.file_names()) == ["kept.json"]


async def test_file_that_comes_back_during_the_look_stays_known(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was given back by another worker in between."""
    room.hear("back.json")
    away = room.orders.parent / "back.json"
    real = _intake.Scan

    def scanned(**found: list[str]) -> _intake.Scan:
        shutil.move(away, room.orders / "back.json")
        return real(**found)

    monkeypatch.setattr(_intake, "Scan", scanned)
    await room.scan(monkeypatch, lambda: shutil.move(room.orders / "back.json", away))
    assert list(room.intake.index.file_names()) == ["back.json"]
