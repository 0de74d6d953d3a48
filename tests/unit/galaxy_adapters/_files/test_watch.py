"""Notices of changes in folders, by the kernel and by looking."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from galaxy_adapters._files import ANY_CHANGE, NEW_CONTENT, Change, ChangeKind, FolderWatch

OVERFLOW = 0x4000


@pytest.fixture(params=["told", "polling"])
def watch(request: pytest.FixtureRequest) -> Iterator[FolderWatch]:
    """Give a watch of each kind."""
    watch = FolderWatch(is_polling=request.param == "polling", poll_seconds=0.01)
    if request.param == "told" and watch.is_polling:
        pytest.skip("there is no inotify here")
    yield watch
    watch.close()


def names(changes: list[Change], kind: ChangeKind = NEW_CONTENT) -> set[str]:
    """Names of the changes of a kind."""
    return {change.name for change in changes if change.kind & kind}


def test_every_way_a_file_can_come_is_noticed(tmp_path: Path, watch: FolderWatch) -> None:
    """Written, renamed, linked: by `cat`, `mv`, `cp` and `ln`."""
    folder, elsewhere = tmp_path / "in", tmp_path / "out"
    for place in (folder, elsewhere):
        place.mkdir()
    watch.add(folder, NEW_CONTENT)
    (folder / "written").write_bytes(b"x")
    (elsewhere / "moved").write_bytes(b"x")
    (elsewhere / "moved").rename(folder / "moved")
    (elsewhere / "original").write_bytes(b"x")
    os.link(elsewhere / "original", folder / "linked")
    assert names(watch.take()) == {"written", "moved", "linked"}
    assert watch.take() == []


def test_files_that_go_are_noticed(tmp_path: Path, watch: FolderWatch) -> None:
    """Removed or renamed away."""
    for name in ("removed", "renamed"):
        (tmp_path / name).write_bytes(b"x")
    watch.add(tmp_path, ANY_CHANGE)
    watch.take()
    (tmp_path / "removed").unlink()
    (tmp_path / "renamed").rename(tmp_path / "new")
    changes = watch.take()
    assert names(changes, ChangeKind.GONE) == {"removed", "renamed"}
    assert "new" in names(changes)


def test_what_was_there_before_is_no_change(tmp_path: Path, watch: FolderWatch) -> None:
    """Who adds a folder looks into it himself."""
    (tmp_path / "old").write_bytes(b"x")
    watch.add(tmp_path, ANY_CHANGE)
    assert watch.take() == []


def test_odd_names_come_through(tmp_path: Path, watch: FolderWatch) -> None:
    """Names are bytes: line breaks and what is no UTF-8 included."""
    watch.add(tmp_path, NEW_CONTENT)
    odd = {"a\nb", os.fsdecode(b"\xff\xfe"), "déjà vu", "x" * 255}
    for name in odd:
        (tmp_path / name).write_bytes(b"x")
    assert names(watch.take()) == odd


def test_closing_twice_is_closing(watch: FolderWatch) -> None:
    """Nothing is left open, and nothing is said any more."""
    watch.close()
    watch.close()
    assert watch.take() == []


async def test_waiting_ends_with_a_change(tmp_path: Path, watch: FolderWatch) -> None:
    """Whoever waits hears of a file that comes."""
    watch.add(tmp_path, NEW_CONTENT)
    async with anyio.create_task_group() as group:
        seen: list[str] = []

        async def listen() -> None:
            while not seen:
                await watch.wait()
                seen.extend(names(watch.take()))

        group.start_soon(listen, name="listen")
        await anyio.sleep(0.02)
        (tmp_path / "a").write_bytes(b"x")
    assert seen == ["a"]


class TestTold:
    """What only the kernel's notices have."""

    @pytest.fixture
    def watch(self) -> Iterator[FolderWatch]:
        """Give a watch over inotify."""
        watch = FolderWatch(poll_seconds=0.01)
        if watch.is_polling:
            pytest.skip("there is no inotify here")
        yield watch
        watch.close()

    async def test_waiting_without_changes_ends_in_time(
        self, tmp_path: Path, watch: FolderWatch
    ) -> None:
        """And says that nothing came."""
        watch.add(tmp_path)
        assert not await watch.wait(0.01)

    def test_lost_notices_ask_for_a_look_at_everything(
        self, tmp_path: Path, watch: FolderWatch, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The kernel's queue is full: what happened is not known, so everything is looked at."""
        watch.add(tmp_path)
        monkeypatch.setattr(watch.__class__, "_read", lambda _watch: [(-1, OVERFLOW, "")])
        assert watch.take() == [Change(tmp_path, "", ChangeKind.RESCAN)]

    def test_folder_that_comes_later_is_watched_then(
        self, tmp_path: Path, watch: FolderWatch
    ) -> None:
        """A folder need not be there when it is added."""
        folder = tmp_path / "later"
        watch.add(folder)
        assert watch.take() == []
        folder.mkdir()
        assert watch.take() == [Change(folder, "", ChangeKind.RESCAN)]
        (folder / "a").write_bytes(b"x")
        assert names(watch.take()) == {"a"}
        assert watch.take() == []

    @pytest.mark.parametrize("is_moved", [True, False])
    def test_folder_that_is_replaced_is_watched_again(
        self, tmp_path: Path, watch: FolderWatch, *, is_moved: bool
    ) -> None:
        """Removed or renamed and made anew: the new one counts, and is looked at."""
        folder = tmp_path / "orders"
        folder.mkdir()
        watch.add(folder)
        if is_moved:
            folder.rename(tmp_path / "elsewhere")
        else:
            shutil.rmtree(folder)
        folder.mkdir()
        assert Change(folder, "", ChangeKind.RESCAN) in watch.take()
        watch.take()
        (folder / "a").write_bytes(b"x")
        assert names(watch.take()) == {"a"}

    def test_without_instances_it_polls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A user has 128 inotify instances; after that it works, only slower."""

        def refuse(**_options: object) -> None:
            raise OSError(24, "Too many open files")

        monkeypatch.setattr("inotify_simple.INotify", refuse)
        watch = FolderWatch()
        assert watch.is_polling
        watch.close()
