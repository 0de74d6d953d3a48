"""Whatever is done to the file afterwards is found, and named with file and line."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_core.domain.audit import ChainReport
from tests.unit.galaxy_adapters.audit_jsonl.helpers import (
    ORIGINAL,
    START,
    event,
    head_file,
    open_log,
    verify,
    write,
)

COUNT = 8
SMALL = 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A trail of `COUNT` lines in one part."""
    path = tmp_path / "galaxy-audit.jsonl"
    write(path, COUNT)
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A trail that is small enough to try something with each of its bytes."""
    path = tmp_path / "galaxy-audit.jsonl"
    write(path, SMALL)
    return path


@pytest.fixture
def lines(path: Path) -> list[bytes]:
    """The trail's lines, with their line breaks."""
    return path.read_bytes().splitlines(keepends=True)


def named_lines(report: ChainReport) -> set[int]:
    """Numbers of the lines in which the report finds a fault."""
    found = [re.match(r"galaxy-audit[^:]*\.jsonl:(\d+): ", fault) for fault in report.faults]
    return {int(match[1]) for match in found if match}


def check(path: Path, lines: Iterable[bytes]) -> ChainReport:
    """Verify the trail with other content."""
    path.write_bytes(b"".join(lines))
    return verify(path)


def test_untouched_trail_is_intact(path: Path, lines: list[bytes]) -> None:
    """A chain that nobody touched has no faults, and its head is the newest line's digest."""
    report = verify(path)
    assert (report.is_intact, report.lines, report.faults) == (True, COUNT, ())
    assert report.head is not None
    assert report.head.encode() in lines[-1]
    assert not report.notes


def test_every_changed_byte_is_found_and_located(small: Path) -> None:
    """Each single byte of the file, changed, is a fault at its line or the one after."""
    path, data = small, small.read_bytes()
    for offset in range(len(data)):
        changed = bytearray(data)
        changed[offset] ^= 1
        path.write_bytes(changed)
        report = verify(path)
        line = data.count(b"\n", 0, offset) + 1
        assert not report.is_intact, f"byte {offset} of line {line}"
        assert named_lines(report) & {line, line + 1, SMALL}, (offset, report.faults)
        assert named_lines(report) <= {line, line + 1, SMALL}, (offset, report.faults)


def test_a_changed_line_is_one_fault(path: Path, lines: list[bytes]) -> None:
    """One edit is one sentence: the neighbours are not accused too."""
    lines[3] = lines[3].replace(b'"order_id":"4"', b'"order_id":"5"')
    report = check(path, lines)
    assert len(report.faults) == 1
    assert report.faults[0].startswith("galaxy-audit.jsonl:4: the line was changed")


@pytest.mark.parametrize("number", range(1, COUNT + 1))
def test_every_removed_line_is_found(path: Path, lines: list[bytes], number: int) -> None:
    """A line that is gone is named by its number: in the middle, at the start, at the end."""
    del lines[number - 1]
    report = check(path, lines)
    assert len(report.faults) == 1
    assert re.search(rf"\bnumber {number}\b", report.faults[0])


@pytest.mark.parametrize("first", range(1, COUNT))
def test_swapped_lines_are_found(path: Path, lines: list[bytes], first: int) -> None:
    """Two neighbours that changed places are both named."""
    lines[first - 1], lines[first] = lines[first], lines[first - 1]
    report = check(path, lines)
    assert {first, first + 1} <= named_lines(report)
    assert len(report.faults) <= 3


@pytest.mark.parametrize("place", range(1, COUNT))
def test_a_copied_line_is_found(path: Path, lines: list[bytes], place: int) -> None:
    """A line that stands twice is named where it does not belong."""
    lines.insert(place, lines[0])
    report = check(path, lines)
    assert named_lines(report) == {place + 1}


@pytest.mark.parametrize("place", range(COUNT))
def test_an_inserted_line_without_chain_is_found(
    path: Path, lines: list[bytes], place: int
) -> None:
    """A line in the original system's form among chained ones is a forgery, not an old line."""
    lines.insert(place, ORIGINAL)
    report = check(path, lines)
    assert named_lines(report) == {place + 1}


def test_a_line_made_anew_with_a_true_digest_is_found(path: Path, lines: list[bytes]) -> None:
    """Whoever recomputes one digest is betrayed by the line after it."""
    other = path.with_name("other.jsonl")
    write(other, 2)
    write(other, 1, first=99)
    lines[2] = other.read_bytes().splitlines(keepends=True)[2]
    report = check(path, lines)
    assert named_lines(report) <= {3, 4}
    assert not report.is_intact


def test_every_cut_is_found(small: Path) -> None:
    """A trail cut off at any byte is found by the writers' note; only a last line break may go."""
    path, data = small, small.read_bytes()
    for size in range(len(data) - 1):
        path.write_bytes(data[:size])
        report = verify(path)
        assert not report.is_intact, size
        assert "cut off" in report.faults[-1]


def test_a_removed_trail_is_found(path: Path) -> None:
    """Removing the file leaves the note that says what had been written."""
    path.unlink()
    assert not verify(path).is_intact


def test_a_truncated_start_is_found(path: Path, lines: list[bytes]) -> None:
    """Lines cut off at the front are counted in the first line that is left."""
    report = check(path, lines[3:])
    assert report.faults == (
        "galaxy-audit.jsonl:1: numbers 1 to 3 are missing or moved before this line",
    )


def test_an_anchor_finds_what_the_chain_cannot(path: Path, lines: list[bytes]) -> None:
    """A head that was written down elsewhere finds a cut-off end and a chain made anew."""
    head = verify(path).head
    assert head is not None
    assert verify(path, head.upper() + "\n").is_intact
    head_file(path).unlink()
    assert check(path, lines[:-2]).is_intact, "the chain itself cannot know its end"
    assert not verify(path, head).is_intact

    path.unlink()
    write(path, COUNT, first=50)
    assert verify(path).is_intact
    report = verify(path, head)
    assert "made anew" in report.faults[0]


def test_a_chain_made_anew_differs_from_the_note(path: Path) -> None:
    """Replacing every line by a chain of one's own does not fit the writers' note."""
    other = path.with_name("other.jsonl")
    write(other, COUNT, first=50)
    path.write_bytes(other.read_bytes())
    assert "made anew" in verify(path).faults[0]


def test_two_edits_are_two_faults(path: Path, lines: list[bytes]) -> None:
    """After a fault the check goes on and finds the next one."""
    del lines[6]
    lines[2] = lines[2].replace(b"lab", b"bad")
    assert named_lines(check(path, lines)) == {3, 7}


def test_faults_in_parts_put_aside_are_named_with_their_file(path: Path) -> None:
    """The chain crosses rotation: a line or a whole part that is missing shows."""
    write(path, 12, first=COUNT + 1, rotate_bytes=600)
    parts = sorted(path.parent.glob("galaxy-audit-*.jsonl"))
    assert len(parts) >= 3
    assert verify(path).is_intact
    middle = parts[1].read_bytes()
    parts[1].write_bytes(middle.replace(b'"machine":"lab"', b'"machine":"bad"', 1))
    assert verify(path).faults[0].startswith(f"{parts[1].name}:1: the line was changed")
    parts[1].unlink()
    assert verify(path).faults[0].startswith(f"{parts[2].name}:1: number")


@pytest.mark.parametrize("note", ["there", "gone"])
@pytest.mark.parametrize("damage", ["removed", "changed", "inserted", "zeroed"])
def test_a_writer_that_starts_does_not_hide_a_fault(
    path: Path, lines: list[bytes], damage: str, note: str
) -> None:
    """A writer seals what a crash left at the end, and nothing that was tampered with before."""
    if damage == "removed":
        del lines[3]
    elif damage == "changed":
        lines[3] = lines[3].replace(b"lab", b"bad")
    elif damage == "inserted":
        lines.insert(3, ORIGINAL)
    else:
        lines[3] = b"\0" * (len(lines[3]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    if note == "gone":
        head_file(path).unlink()
    write(path, 3, first=60)
    report = verify(path)
    assert named_lines(report) <= {4, 5}
    assert not report.is_intact


def test_a_running_writer_betrays_a_cut_off_end(path: Path, lines: list[bytes]) -> None:
    """A writer goes on behind the lines that it knows were written, so that their lack shows."""
    log = open_log(path)
    log.append([encode_body(event(9))], START)
    path.write_bytes(b"".join(lines[:5]))
    head_file(path).unlink()
    log.append([encode_body(event(10))], START)
    log.close()
    assert verify(path).faults == (
        "galaxy-audit.jsonl:6: numbers 6 to 9 are missing or moved before this line",
    )


def test_a_writer_that_starts_betrays_a_cut_off_end(path: Path, lines: list[bytes]) -> None:
    """So does one that knows it only from the note of the writer before it."""
    path.write_bytes(b"".join(lines[:5]))
    write(path, 1, first=60)
    assert verify(path).faults == (
        "galaxy-audit.jsonl:6: numbers 6 to 8 are missing or moved before this line",
    )


def test_memory_does_not_grow_with_the_number_of_faults(path: Path) -> None:
    """A file full of rubbish gives the first faults by name, and the number of the others."""
    line = path.read_bytes().splitlines(keepends=True)[4]
    report = check(path, [line] * 3_000)
    assert len(report.faults) == 1_001
    assert re.fullmatch(r"and \d+ more faults", report.faults[-1])
