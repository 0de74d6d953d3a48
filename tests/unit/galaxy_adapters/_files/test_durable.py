"""Writes that are whole or absent, and say so when they fail."""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters._files import (
    SharedSync,
    create_durably,
    create_named,
    durable,
    make_durable_folder,
    rename,
    rename_exclusively,
    replace_atomically,
    sweep_scratch,
    write_durably,
    writeback,
)
from galaxy_adapters._files.writeback import can_write_out, write_out
from galaxy_core.domain.errors import StorageUnavailable

Writer = Callable[[Path, bytes], object]
WRITERS: list[Writer] = [write_durably, replace_atomically, create_durably, create_named]


@pytest.mark.parametrize("write", WRITERS)
def test_content_is_there_and_nothing_else(tmp_path: Path, write: Writer) -> None:
    """A write leaves the file and no scratch file beside it."""
    write(tmp_path / "a", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("write", [write_durably, replace_atomically])
def test_old_file_is_replaced(tmp_path: Path, write: Writer) -> None:
    """The name goes over to the new content in one step."""
    write(tmp_path / "a", b"old")
    before = (tmp_path / "a").stat().st_ino
    write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_ino != before


@pytest.mark.parametrize("is_linux", [True, False])
@pytest.mark.parametrize("create", [create_durably, create_named])
def test_existing_file_is_never_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    create: Callable[[Path, bytes], bool],
    *,
    is_linux: bool,
) -> None:
    """The first one stands, also where the system has no rename that refuses to replace."""
    if not is_linux:
        monkeypatch.setattr(rename, "_find_renameat2", lambda: None)
    assert create(tmp_path / "a", b"first")
    assert not create(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("is_linux", [True, False])
def test_folder_is_renamed_exclusively_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_linux: bool
) -> None:
    """A folder has no hard links: it is moved all the same, and replaces nothing."""
    if not is_linux:
        monkeypatch.setattr(rename, "_find_renameat2", lambda: None)
    for name in "ab":
        (tmp_path / name).mkdir()
    assert not rename_exclusively(str(tmp_path / "a"), str(tmp_path / "b"))
    assert rename_exclusively(str(tmp_path / "a"), str(tmp_path / "c"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]


def test_of_many_creators_one_wins(tmp_path: Path) -> None:
    """Exclusive means exclusive, also at the same moment."""
    wins: list[int] = []

    def create(number: int) -> None:
        if create_durably(tmp_path / "a", str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert (tmp_path / "a").read_bytes() == str(wins[0]).encode()


def test_mode_and_time_are_those_asked_for(tmp_path: Path) -> None:
    """A secret is never readable for others; an order's arrival is exact."""
    write_durably(tmp_path / "secret", b"", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    create_durably(tmp_path / "dated", b"", modified_ns=123_456_789_000_000_001)
    assert (tmp_path / "dated").stat().st_mtime_ns == 123_456_789_000_000_001


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, 254])
@pytest.mark.parametrize("call", ["write", "fsync"])
@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_failure_leaves_nothing_and_names_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer, call: str, code: int
) -> None:
    """A refused write leaves no scratch file; the message says what a person can do."""
    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: False)

    def refuse(*_arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        with pytest.raises(StorageUnavailable) as caught:
            write(tmp_path / "a", b"content")
    assert list(tmp_path.iterdir()) == []
    assert caught.value.errno == code
    assert str(tmp_path / "a") in str(caught.value)


def test_short_write_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes half of the content has not taken it."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: len(data) // 2]))
    with pytest.raises(StorageUnavailable, match="no space"):
        write_durably(tmp_path / "a", b"content")
    assert list(tmp_path.iterdir()) == []


def test_failed_sync_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second sync of the same pages would succeed and prove nothing."""
    syncs: list[int] = []

    def refuse(fd: int) -> None:
        syncs.append(fd)
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageUnavailable):
        write_durably(tmp_path / "a", b"content")
    assert len(syncs) == 1


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note in which order content is written out, a name given, and file and folder synced."""
    noted: list[str] = []

    def note(place: object, name: str) -> None:
        real = getattr(place, name)

        def noting(*args: object) -> object:
            noted.append(name)
            return real(*args)

        monkeypatch.setattr(place, name, noting)

    for name in ("fsync", "rename"):
        note(os, name)
    for name in ("write_out", "rename_exclusively"):
        note(durable, name)
    return noted


@pytest.mark.skipif(not can_write_out(), reason="this system has no sync_file_range")
@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_one_commit_where_the_disk_keeps_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[str], write: Writer
) -> None:
    """Content is out before the name, and file and folder are synced after it, for one commit."""
    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: True)
    write(tmp_path / "a", b"content")
    name = "rename" if write is write_durably else "rename_exclusively"
    assert steps == ["write_out", name, "fsync", "fsync"]


@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_content_is_synced_before_the_name_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[str], write: Writer
) -> None:
    """Where nothing is known of the disk, nothing is expected of it."""
    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: False)
    write(tmp_path / "a", b"content")
    name = "rename" if write is write_durably else "rename_exclusively"
    assert steps == ["fsync", name, "fsync"]


@pytest.mark.skipif(not can_write_out(), reason="this system has no sync_file_range")
@pytest.mark.parametrize("write", [write_durably, create_durably, create_named])
def test_content_that_cannot_be_written_out_gets_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer
) -> None:
    """A disk that is full, or broken, is found out before anybody could see the file."""

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: True)
    monkeypatch.setattr(durable, "write_out", full)
    with pytest.raises(StorageUnavailable, match="no space is left"):
        write(tmp_path / "a", b"content")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [write_durably, create_durably, create_named])
def test_failed_sync_behind_the_name_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Writer
) -> None:
    """The file may stand then, whole, and nothing else; the caller hears of the failure."""

    def refuse(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: True)
    monkeypatch.setattr(durable, "can_write_out", lambda: True)
    monkeypatch.setattr(durable, "write_out", lambda _fd: True)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StorageUnavailable, match="input/output error"):
        write(tmp_path / "a", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM])
@pytest.mark.parametrize("write", [write_durably, create_durably])
def test_sandbox_without_the_call_gets_the_usual_way(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[str],
    write: Writer,
    code: int,
) -> None:
    """A filter of system calls that refuses a rare one keeps nobody from writing."""
    monkeypatch.setattr(durable, "commits_in_order", lambda _folder: True)
    monkeypatch.setattr(writeback, "_find_sync_file_range", lambda: lambda _fd, _flags: code)
    write(tmp_path / "a", b"content")
    name = "rename" if write is write_durably else "rename_exclusively"
    assert steps == ["write_out", "fsync", name, "fsync"]


@pytest.mark.skipif(not can_write_out(), reason="this system has no sync_file_range")
def test_failure_to_write_out_is_told() -> None:
    """What the kernel refuses is an error, not silence: a pipe has nothing to write out."""
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ESPIPE)):
            write_out(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder that is gone is a passing trouble with a hint, not a traceback."""
    with pytest.raises(StorageUnavailable, match="is a disk not mounted"):
        write_durably(tmp_path / "gone" / "a", b"")


def test_folders_are_made_once(tmp_path: Path) -> None:
    """All missing ones, and again without harm."""
    make_durable_folder(tmp_path / "a" / "b" / "c")
    make_durable_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()


def test_only_old_scratch_files_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a living writer is at work on stays, and so does everything that is not ours."""
    for name in (".tmp-one", ".other", "file"):
        (tmp_path / name).write_bytes(b"")
    unfinished = tmp_path / ".tmp-folder"
    unfinished.mkdir()
    (unfinished / "name").touch()
    # A writer dates its file by the order's arrival before it gives it its name.
    long_ago = time.time() - 7_200
    os.utime(tmp_path / ".tmp-one", (long_ago, long_ago))
    assert sweep_scratch(tmp_path) == 0
    in_two_hours = time.time() + 7_200
    monkeypatch.setattr(time, "time", lambda: in_two_hours)
    assert sweep_scratch(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other", "file"]
    assert sweep_scratch(tmp_path / "gone", older_than=timedelta(0)) == 0


class SlowDisk:
    """Counts syncs of a folder; each waits until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.failures: list[StorageUnavailable | None] = []
        self.syncs = 0

    def sync(self, _folder: Path) -> None:
        """Stand in for the sync of a folder."""
        self.syncs += 1
        number = self.syncs
        self.begun.release()
        assert self.may_end.acquire(timeout=10)
        failure = self.failures[number - 1] if number <= len(self.failures) else None
        if failure is not None:
            raise failure


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SlowDisk:
    """Give a disk that is slow on command."""
    slow = SlowDisk()
    monkeypatch.setattr("galaxy_adapters._files.shared_sync.sync_directory", slow.sync)
    return slow


def _many(sync: Callable[[], None], number: int) -> tuple[list[threading.Thread], list[str]]:
    results: list[str] = []

    def run() -> None:
        try:
            sync()
            results.append("synced")
        except StorageUnavailable:
            results.append("failed")

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, results


def _wait_for(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_writers_that_come_during_a_sync_share_the_next(tmp_path: Path, disk: SlowDisk) -> None:
    """Nobody is answered by a sync that may have begun before the name was there."""
    shared = SharedSync(tmp_path)
    first, first_results = _many(shared.sync, 1)
    disk.begun.acquire()
    rest, results = _many(shared.sync, 20)
    disk.may_end.release()
    disk.begun.acquire()
    assert results == []
    disk.may_end.release(50)
    for thread in first + rest:
        thread.join()
    assert first_results + results == ["synced"] * 21
    assert disk.syncs <= 3  # a straggler may have come during the second


def test_followers_of_a_failed_sync_fail(tmp_path: Path, disk: SlowDisk) -> None:
    """A later sync that goes well does not make up for the one that did not."""
    disk.failures = [None, StorageUnavailable("broken")]
    shared = SharedSync(tmp_path)
    first, _ = _many(shared.sync, 1)
    disk.begun.acquire()
    rest, results = _many(shared.sync, 5)
    # Every one of them waits for the second sync before the first may end.
    _wait_for(lambda: len(shared._condition._waiters) == 5)  # type: ignore[attr-defined]
    disk.may_end.release(50)
    for thread in first + rest:
        thread.join()
    assert results == ["failed"] * 5
