"""Reading on from a mark: over full parts, torn lines, parts that were moved, other trails."""

import shutil
from pathlib import Path

import pytest

from galaxy_adapters.audit_jsonl import JsonlAuditTrail
from galaxy_core.domain.errors import TrailReplaced
from tests.unit.galaxy_adapters.audit_jsonl.helpers import ORIGINAL, head_file, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the trail lies."""
    return tmp_path / "galaxy-audit.jsonl"


async def read_on(path: Path, mark: str | None, limit: int = 1_000) -> tuple[list[str], str | None]:
    """The orders of all that is new, and the mark behind it."""
    seen: list[str] = []
    is_at_end = False
    while not is_at_end:
        piece = await JsonlAuditTrail(path).read_on(mark, limit=limit)
        assert len(piece.records) <= limit
        seen += [r.event.order_id for r in piece.records if r.event.order_id is not None]
        mark, is_at_end = piece.mark, piece.is_at_end
    return seen, mark


def numbers(first: int, last: int) -> list[str]:
    """Ids of the orders of `write`."""
    return [str(number) for number in range(first, last + 1)]


def parts(path: Path) -> list[Path]:
    """Full parts, oldest first."""
    return sorted(each for each in path.parent.glob("galaxy-audit-*.jsonl"))


@pytest.mark.parametrize("limit", [1, 3, 1_000])
async def test_it_crosses_parts(path: Path, limit: int) -> None:
    """A full part is read to its end before the next one, however often one stops."""
    write(path, 20, rotate_bytes=2_000)
    seen, mark = await read_on(path, None, limit)
    assert seen == numbers(1, 20)
    write(path, 20, first=21, rotate_bytes=2_000)
    assert len(parts(path)) >= 4
    seen, mark = await read_on(path, mark, limit)
    assert seen == numbers(21, 40)
    assert await read_on(path, mark) == ([], mark)


async def test_part_that_was_put_aside_is_read_on(path: Path) -> None:
    """A part may be full, renamed and followed by another before it is looked at again."""
    write(path, 3, rotate_bytes=2_000)
    seen, mark = await read_on(path, None)
    assert (seen, parts(path)) == (numbers(1, 3), [])
    write(path, 30, first=4, rotate_bytes=2_000)
    assert (await read_on(path, mark))[0] == numbers(4, 33)


async def test_parts_that_were_read_may_be_moved_away(path: Path, tmp_path: Path) -> None:
    """Who makes room in the folder does not have everything counted again."""
    write(path, 20, rotate_bytes=2_000)
    _, mark = await read_on(path, None)
    for part in parts(path):
        part.unlink()
    write(path, 1, first=21)
    assert (await read_on(path, mark))[0] == ["21"]
    # The part with the mark itself, once it is full:
    full, alone = tmp_path / "full" / path.name, tmp_path / "alone" / path.name
    for each in (full, alone):
        each.parent.mkdir()
    write(full, 8, rotate_bytes=2_000)
    first, *_ = parts(full)
    shutil.copy(first, alone)
    _, at_its_end = await read_on(alone, None)
    first.unlink()
    seen, _ = await read_on(full, at_its_end)
    assert seen[-1] == "8"
    assert seen == numbers(int(seen[0]), 8)


async def test_missing_part_that_was_not_read_is_noticed(path: Path) -> None:
    """What was never read cannot be counted: the index has to know."""
    write(path, 2, rotate_bytes=2_000)
    _, mark = await read_on(path, None)
    write(path, 30, first=3, rotate_bytes=2_000)
    first, second, *_ = parts(path)
    first.unlink()
    second.unlink()
    with pytest.raises(TrailReplaced):
        await read_on(path, mark)


async def test_unfinished_line_waits_for_its_end(path: Path) -> None:
    """A line that is being written is read once it is whole."""
    write(path, 2)
    _, mark = await read_on(path, None)
    with path.open("ab") as file:
        file.write(ORIGINAL[:40])
        file.flush()
        assert await read_on(path, mark) == ([], mark)
        file.write(ORIGINAL[40:])
    assert (await read_on(path, mark))[0] == ["old-1"]


async def test_torn_line_is_passed_over(path: Path) -> None:
    """What a crash left is no line; those behind it come, its seal among them."""
    write(path, 2)
    _, mark = await read_on(path, None)
    with path.open("ab") as file:
        file.write(b'{"timestamp": "2026')
    write(path, 1, first=3)
    piece = await JsonlAuditTrail(path).read_on(mark)
    assert [r.event.event_type for r in piece.records] == ["audit_torn_line", "order_claimed"]


@pytest.mark.parametrize("what", ["another", "shorter", "gone", "last line edited"])
async def test_replaced_trail_is_noticed(path: Path, what: str) -> None:
    """Lines that were counted and are not there any more must not stay counted."""
    write(path, 5)
    _, mark = await read_on(path, None)
    lines = path.read_bytes().splitlines(keepends=True)
    if what == "another":
        path.unlink()
        head_file(path).unlink()  # else its writers know that lines are missing, and go on
        write(path, 9, first=50)
    elif what == "shorter":
        path.write_bytes(b"".join(lines[:4]))
    elif what == "gone":
        path.unlink()
    else:
        path.write_bytes(b"".join([*lines[:4], lines[4].replace(b"lab", b"bal")]))
    with pytest.raises(TrailReplaced):
        await read_on(path, mark)


async def test_restored_copy_is_the_same_trail(path: Path, tmp_path: Path) -> None:
    """A backup that was put back is another file with the same lines: nothing is read again."""
    write(path, 5)
    _, mark = await read_on(path, None)
    copy = tmp_path / "copy"
    shutil.copy(path, copy)
    path.unlink()
    copy.rename(path)
    write(path, 1, first=6)
    assert (await read_on(path, mark))[0] == ["6"]


@pytest.mark.parametrize("mark", ["", "nonsense", "1 2 3", "x" * 200])
async def test_mark_of_somebody_else_is_refused(path: Path, mark: str) -> None:
    """A mark that this adapter has not made leads nowhere."""
    write(path, 1)
    with pytest.raises(TrailReplaced):
        await read_on(path, mark)
