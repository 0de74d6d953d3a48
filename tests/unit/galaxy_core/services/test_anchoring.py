"""Anchors: each day's heads reach the owners once, and the file once, whatever happens between."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from attrs import evolve

from galaxy_adapters.anchors_file import FileAnchorLog
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.anchor_log import Anchor
from galaxy_core.services.anchoring import NAME, AnchorDesk
from galaxy_core.testing.factories import make_address, make_event
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.memory import (
    AuditLines,
    LetterBox,
    ManualClock,
    MemoryAuditTrail,
    MemoryOutbox,
)
from tests.unit.galaxy_core.services.gateway.world import OPERATOR, OWNER, GatewayWorld

pytestmark = pytest.mark.anyio

OWNERS = [make_address(chat_id="1"), make_address(chat_id="2")]


class Scene:
    """Two trails, one of them empty, and an outbox."""

    def __init__(self, file: Path, *, is_told: bool = True) -> None:
        self.clock = ManualClock()
        self.lines, self.letters, self.faults = AuditLines(), LetterBox(), Faults()
        self.lines.add(make_event(timestamp=self.clock.now() - timedelta(days=1)))
        self.file = file
        self.desk = AnchorDesk(
            {"lab": MemoryAuditTrail(self.lines), "roof": MemoryAuditTrail(AuditLines())},
            MemoryOutbox(self.clock, self.letters, faults=self.faults),
            self.clock,
            FileAnchorLog(file),
            is_told,
        )

    @property
    def heads(self) -> list[list[str]]:
        """Number, head and name of each line of the file."""
        return [line.split(" ")[1:] for line in self.file.read_text("utf-8").splitlines()]


async def test_once_a_day(tmp_path: Path) -> None:
    """However often it is done: one letter an owner and day, one line a trail and day."""
    scene = Scene(tmp_path / "elsewhere" / "heads.txt")
    first = scene.lines.head
    for _ in range(3):
        await scene.desk.anchor(OWNERS)
        scene.lines.add(make_event())
    assert scene.heads == [["1", first, "lab"]]
    day = f"{scene.clock.now():%Y-%m-%d}"
    assert len(scene.letters.waiting) == 2
    for name, letter in scene.letters.waiting.items():
        assert name.startswith(f"{NAME}{day}-")
        assert f"lab, line 1:\n{first}" in letter.message
    await scene.clock.elapse(timedelta(days=1))
    await scene.desk.anchor(OWNERS)
    assert scene.heads[1:] == [["4", scene.lines.head, "lab"]]
    assert len(scene.letters.waiting) == 4
    assert (tmp_path / "elsewhere" / "heads.txt").stat().st_mode & 0o077 == 0


async def test_what_failed_is_done_the_next_time(tmp_path: Path) -> None:
    """A full outbox costs no second line and no letter."""
    scene = Scene(tmp_path / "heads.txt")
    scene.faults.fail("outbox.post", StorageUnavailable("full"))
    with pytest.raises(StorageUnavailable):
        await scene.desk.anchor(OWNERS)
    await scene.desk.anchor(OWNERS)
    assert (len(scene.heads), len(scene.letters.waiting)) == (1, 2)


async def test_file_without_letters_and_letters_without_owners(tmp_path: Path) -> None:
    """Each way out may be missing."""
    scene = Scene(tmp_path / "heads.txt", is_told=False)
    await scene.desk.anchor(OWNERS)
    assert (len(scene.heads), scene.letters.waiting) == (1, {})
    lonely = Scene(tmp_path / "other.txt")
    await lonely.desk.anchor([])
    assert (len(lonely.heads), lonely.letters.waiting) == (1, {})


async def test_a_daemon_keeps_at_it(tmp_path: Path) -> None:
    """Each day a line, also after a day on which the disk refused; nobody is told."""
    scene = Scene(tmp_path / "away" / "heads.txt", is_told=False)
    (tmp_path / "away").write_text("no folder: the disk is not mounted")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(scene.desk.keep)
        await scene.clock.elapse(timedelta(hours=1))
        (tmp_path / "away").unlink()
        with anyio.fail_after(60):
            while not scene.file.exists() or len(scene.heads) < 2:
                await scene.clock.elapse(timedelta(hours=1))
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert scene.letters.waiting == {}


async def test_lines_of_others_stay(tmp_path: Path) -> None:
    """A torn line of a writer that died is ended, never changed; other trails count by name."""
    file = tmp_path / "heads.txt"
    file.write_text("2026-02-02T12:00:00+00:00 7 ab")
    log = FileAnchorLog(file)
    at = ManualClock().now()
    one = Anchor(trail="lab", sequence=8, digest="c" * 64, at=at)
    assert await log.add([one, evolve(one, trail="the roof")]) == 2
    assert await log.add([one, evolve(one, sequence=9)]) == 0
    lines = file.read_text("utf-8").splitlines()
    assert lines[0] == "2026-02-02T12:00:00+00:00 7 ab"
    assert lines[2].endswith(f" 8 {'c' * 64} the roof")
    file.unlink()
    file.symlink_to(tmp_path / "target")
    with pytest.raises(StorageUnavailable):
        await log.add([one])


async def test_the_gateway_anchors_every_day(tmp_path: Path) -> None:
    """The owners get the heads from the second day on; nobody else does."""
    world = GatewayWorld(tmp_path)
    file = tmp_path / "heads.txt"
    world.anchors = AnchorDesk(
        {"home": MemoryAuditTrail(world.lines)},
        MemoryOutbox(world.clock, world.letters),
        world.clock,
        FileAnchorLog(file),
    )
    async with world.running(with_hermes=False):
        assert world.texts(OWNER) == []
        for number in (1, 2):
            world.clock.advance(timedelta(days=1, minutes=2))  # one jump: nobody works in between
            with anyio.fail_after(20):
                while len(world.texts(OWNER)) < number:
                    await anyio.sleep(0.001)  # the file is written in a thread
                    await world.clock.elapse(timedelta(milliseconds=100))
            assert len(file.read_text("utf-8").splitlines()) == number
    assert all("Heads of the audit trail" in text for text in world.texts(OWNER))
    assert world.texts(OPERATOR) == []
    assert len(file.read_text("utf-8").splitlines()) == 2
