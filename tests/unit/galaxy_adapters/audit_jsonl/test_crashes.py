"""Whatever a crash, a full disk or a power cut leaves: nothing accepted is lost, the chain goes on.

Killed and power-cut writers are no tampering, so in each of these cases the check says intact.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.audit_jsonl import _log, read_newest
from galaxy_adapters.audit_jsonl._line import Head, chain, encode_body
from galaxy_adapters.audit_jsonl._parts import Note
from galaxy_core.domain.audit import AuditQuery, ChainReport
from galaxy_core.domain.errors import StorageUnavailable
from tests.support import PROJECT_ROOT, require_or_skip
from tests.unit.galaxy_adapters.audit_jsonl.helpers import (
    ORIGINAL,
    START,
    event,
    head_file,
    open_log,
    verify,
    write,
)


class Died(BaseException):
    """The process is gone."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A trail of three lines."""
    path = tmp_path / "galaxy-audit.jsonl"
    write(path, 3)
    return path


def ids(path: Path) -> list[str]:
    """The orders of all readable lines, the trail's own notices left out."""
    records = read_newest(path, AuditQuery(limit=None))
    return [r.event.order_id for r in records if r.event.order_id is not None]


def check_goes_on(path: Path, accepted: list[str], maybe: list[str] | None = None) -> ChainReport:
    """A new writer adds a line; the trail is whole, and holds all that was ever accepted."""
    write(path, 1, first=90)
    report = verify(path)
    assert report.faults == ()
    assert report.is_intact
    found = ids(path)
    assert found[-1] == "90"
    assert [order for order in found[:-1] if order not in (maybe or [])] == accepted
    return report


# ---- dying in the middle


def writing_only(count: int, then: Exception | type[Died]) -> Callable[[int, bytes], int]:
    """An `os.write` that gets `count` bytes to the disk and then fails or dies."""
    left = [count]
    real = os.write

    def partly(fd: int, data: bytes) -> int:
        if not left[0]:
            raise then
        written = real(fd, data[: left[0]])
        left[0] -= written
        return written

    return partly


def test_death_at_every_byte_of_a_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that was cut short anywhere is sealed, not removed, and told as torn."""
    before = path.read_bytes()
    note = head_file(path).read_bytes()
    body = encode_body(event(4))
    size = len(chain([body], Head(3, "0" * 64))[0])
    for count in sorted({*range(1, size, 3), size - 1}):
        path.write_bytes(before)
        head_file(path).write_bytes(note)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", writing_only(count, Died))
            log = open_log(path)
            with pytest.raises(Died):
                log.append([body], START)
        torn = path.read_bytes()
        assert len(torn) == len(before) + count
        assert verify(path).is_intact, "also while nobody has written since"
        report = check_goes_on(path, ["1", "2", "3"], maybe=["4"])
        assert path.read_bytes().startswith(torn)
        assert len(report.notes) == (0 if count == size - 1 else 1), count


def test_torn_again_while_sealing(path: Path) -> None:
    """A writer that dies while it seals leaves one more torn line, and both are sealed."""
    with path.open("ab") as file:
        file.write(b'{"timestamp":"2026-02')
    whole = path.read_bytes()
    write(path, 1, first=50)
    sealed = path.read_bytes()
    for cut in (1, 2, 100, len(sealed) - len(whole) - 400):
        path.write_bytes(sealed[: len(whole) + cut])
        head_file(path).unlink(missing_ok=True)
        check_goes_on(path, ["1", "2", "3"])


@pytest.mark.parametrize(
    "call, when, accepted_before",
    [
        *(("write", 1, 0), ("write", 2, 1), ("write", 5, 4), ("fdatasync", 1, 0)),
        *(("fdatasync", 2, 1), ("fdatasync", 5, 4), ("rename", 1, 4), ("fsync", 1, 0)),
        *(("fsync", 2, 4), ("pwrite64", 2, 1)),
    ],
)
def test_real_process_killed_at_a_system_call(
    tmp_path: Path, call: str, when: int, accepted_before: int
) -> None:
    """kill -9 at a write, a sync, a rotation or the note loses nothing that was accepted."""
    strace = shutil.which("strace") or require_or_skip("strace is not installed")
    path = tmp_path / "galaxy-audit.jsonl"
    command: list[str | Path] = [
        *(strace, "-f", "-qq", "-o", os.devnull, "-P", path, "-P", head_file(path)),
        *("-P", tmp_path, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={when}"),
        *(sys.executable, "-m", "tests.unit.galaxy_adapters.audit_jsonl.writing_process"),
        *(path, "w", "6", "1000"),
    ]
    done = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr:
        require_or_skip("this machine does not let a process be traced")
    assert done.returncode == -signal.SIGKILL, done.stderr
    accepted = [f"w-{number}" for number in range(accepted_before)]
    assert done.stdout.split() == accepted
    check_goes_on(path, accepted, maybe=[f"w-{accepted_before}"])


# ---- a disk that refuses


def test_full_disk_in_the_middle_of_a_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What got through of a refused write is taken back, the caller told, the next call works."""
    before = path.read_bytes()
    log = open_log(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", writing_only(100, OSError(errno.ENOSPC, "no space")))
        with pytest.raises(StorageUnavailable, match="no space is left") as caught:
            log.append([encode_body(event(4))], START)
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    log.append([encode_body(event(5))], START)
    log.close()
    assert check_goes_on(path, ["1", "2", "3", "5"]).notes == ()


def test_full_disk_and_death_before_the_bytes_are_taken_back(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When even the taking back fails, the torn line is sealed like any other."""
    log = open_log(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", writing_only(100, OSError(errno.ENOSPC, "no space")))
        patch.setattr(os, "ftruncate", writing_only(0, OSError(errno.EIO, "broken")))
        with pytest.raises(StorageUnavailable):
            log.append([encode_body(event(4))], START)
    log.append([encode_body(event(5))], START)
    log.close()
    assert len(check_goes_on(path, ["1", "2", "3", "5"]).notes) == 1


def test_failed_sync_is_not_tried_again_on_the_same_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an I/O error the pages may count as clean: the next lines go into a new part."""
    before = path.read_bytes()
    log = open_log(path)

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(_log, "_sync_data", fail)
        with pytest.raises(StorageUnavailable, match="input/output error"):
            log.append([encode_body(event(4))], START)
    assert path.read_bytes() == before
    log.append([encode_body(event(5))], START)
    log.close()
    (part,) = path.parent.glob("galaxy-audit-*.jsonl")
    assert part.read_bytes() == before
    check_goes_on(path, ["1", "2", "3", "5"])


def test_real_limit_on_the_files_size(tmp_path: Path) -> None:
    """The same with the kernel's own refusal: a file may not grow beyond the process's limit."""
    path = tmp_path / "galaxy-audit.jsonl"
    script = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))\n"
        "from tests.unit.galaxy_adapters.audit_jsonl.writing_process import main\n"
        "main(*sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, path, "w", "6", "100000"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    accepted = done.stdout.split()
    assert "StorageUnavailable" in done.stderr
    assert 2 <= len(accepted) < 6
    assert check_goes_on(path, accepted).notes == ()


def test_writer_that_was_stopped_does_not_stop_the_others(path: Path) -> None:
    """A lock that is never let go ends in an error that names it, not in silence."""
    holder = open_log(path)
    holder.append([encode_body(event(4))], START)
    holder._lock.acquire()
    waiting = _log.ChainedLog(path, rotate_bytes=None, lock_timeout=timedelta(seconds=0.05))
    with pytest.raises(StorageUnavailable, match="another process has held"):
        waiting.append([encode_body(event(5))], START)
    holder._lock.release()
    waiting.append([encode_body(event(6))], START)
    assert ids(path) == ["1", "2", "3", "4", "6"]
    holder.close()
    waiting.close()


# ---- power cuts


@pytest.mark.parametrize("note", ["kept", "lost", "old"])
@pytest.mark.parametrize("zeros", [1, 200, 4096])
def test_power_cut_leaves_zeros_at_the_end(path: Path, zeros: int, note: str) -> None:
    """A file that grew before its blocks were written ends in zeros: torn, and sealed."""
    old_note = head_file(path).read_bytes()
    write(path, 2, first=4)
    if note == "lost":
        head_file(path).write_bytes(b"")
    elif note == "old":
        head_file(path).write_bytes(old_note)
    with path.open("ab") as file:
        file.write(b"\0" * zeros)
    assert len(check_goes_on(path, ["1", "2", "3", "4", "5"]).notes) == 1


def test_power_cut_loses_the_first_block_of_an_unsynced_write(path: Path) -> None:
    """Whole lines behind a hole were never accepted: all of it is sealed, from the hole on."""
    end = path.stat().st_size
    log = open_log(path)
    log.append([encode_body(event(number)) for number in range(4, 8)], START)
    log.close()
    data = bytearray(path.read_bytes())
    data[end + 10 : end + 500] = bytes(490)
    path.write_bytes(data)
    head = verify(path)
    assert not head.is_intact, "the note says that these lines had been synced: a fault"

    note = Note(Head(3, _digest_of_line(path, 3)), end)
    head_file(path).write_bytes(note.to_bytes())
    write(path, 1, first=90)
    report = verify(path)
    assert report.faults == ()
    assert "sealed by number 4" in report.notes[0]


def _digest_of_line(path: Path, number: int) -> str:
    line = path.read_bytes().splitlines()[number - 1]
    return line[-66:-2].decode()


def test_power_cut_undoes_a_rotation(tmp_path: Path) -> None:
    """A rename or a new part that did not reach the disk: the chain goes on from what is there."""
    path = tmp_path / "galaxy-audit.jsonl"
    write(path, 3)
    data = path.read_bytes()
    part = tmp_path / "galaxy-audit-20260202T120000Z-000000000003.jsonl"
    for is_new_part_there in (False, True):
        part.write_bytes(data)
        path.unlink(missing_ok=True)
        if is_new_part_there:
            path.write_bytes(b"")
        for note in (head_file(path).read_bytes(), b""):
            head_file(path).write_bytes(note)
        check_goes_on(path, ["1", "2", "3"])
        path.unlink()


# ---- others in the same file


def test_lines_of_the_original_are_sealed_and_counted(tmp_path: Path) -> None:
    """A trail that the original began goes on as a chain; its lines can be read, not checked."""
    path = tmp_path / "galaxy-audit.jsonl"
    path.write_bytes(ORIGINAL * 3)
    assert verify(path) == ChainReport(is_intact=True, lines=0, head=None, unchained=3)
    write(path, 2)
    report = verify(path)
    assert (report.is_intact, report.lines, report.unchained) == (True, 3, 3)
    assert ids(path) == ["old-1"] * 3 + ["1", "2"]
    with path.open("ab") as file:
        file.write(ORIGINAL)
    assert verify(path).unchained == 4
    write(path, 1, first=3)
    assert (verify(path).is_intact, verify(path).unchained) == (True, 4)
    path.write_bytes(path.read_bytes().replace(b"old-1", b"odd-1", 1))
    assert not verify(path).is_intact, "once sealed, they cannot be changed any more"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_without_our_lock_comes_in_between(
    path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The original running beside us appends when it likes: its line is sealed a line later."""
    real_write, real_sync = os.write, _log._sync_data

    def intrude() -> None:
        with path.open("ab") as file:
            file.write(ORIGINAL)

    def write_behind(fd: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", real_write)
        intrude()
        return real_write(fd, data)

    def sync_then_intrude(fd: int) -> None:
        monkeypatch.setattr(_log, "_sync_data", real_sync)
        real_sync(fd)
        intrude()

    log = open_log(path)
    if when == "before":
        monkeypatch.setattr(os, "write", write_behind)
    else:
        monkeypatch.setattr(_log, "_sync_data", sync_then_intrude)
    log.append([encode_body(event(4))], START)
    log.close()
    report = verify(path)
    assert (report.is_intact, report.unchained) == (True, 1)
    expected = ["1", "2", "3", *(["old-1", "4"] if when == "before" else ["4", "old-1"])]
    check_goes_on(path, expected)


def test_a_deleted_lock_file_divides_nobody(path: Path) -> None:
    """Two writers, of which one started after the lock file was deleted, make one chain."""
    first, second = open_log(path), open_log(path)
    first.append([encode_body(event(4))], START)
    head_file(path).unlink()
    second.append([encode_body(event(5))], START)
    first.append([encode_body(event(6))], START)
    assert first._lock._identity == second._lock._identity
    first.close()
    second.close()
    assert check_goes_on(path, ["1", "2", "3", "4", "5", "6"]).notes == ()


def test_processes_at_once_make_one_chain(tmp_path: Path) -> None:
    """Several processes, rotation, and one that is killed: one chain, nothing accepted lost."""
    path = tmp_path / "galaxy-audit.jsonl"
    command = [sys.executable, "-m", "tests.unit.galaxy_adapters.audit_jsonl.writing_process"]
    names = ("a", "b", "c", "doomed")
    processes = {
        name: subprocess.Popen(
            [*command, path, name, "40" if name != "doomed" else "100000", "9000"],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    }
    accepted: list[str] = []
    for name in names[:-1]:
        out, _ = processes[name].communicate(timeout=60)
        accepted += out.split()
        assert processes[name].returncode == 0
    processes["doomed"].kill()
    out, _ = processes["doomed"].communicate(timeout=60)
    accepted += [line for line in out.split("\n")[:-1] if line]
    report = verify(path)
    assert report.faults == ()
    assert len(list(tmp_path.glob("galaxy-audit-*.jsonl"))) >= 3
    found = ids(path)
    assert len(found) == len(set(found))
    assert set(accepted) <= set(found)
    assert len(found) - len(accepted) <= 2, "the killed one's last line or two may be there too"
    check_goes_on(path, found)
