"""Files that are not over yet, and removing what resists: write-protected folders, no files."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from anyio import from_thread

from galaxy_adapters.old_filesystem import FilesystemOldFiles
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.tidying import OldKind, Remnant
from galaxy_core.services.gateway.holding import GOOD_FOR
from galaxy_core.services.tidying import SLACK
from galaxy_core.testing.clock import START
from galaxy_core.wire.layout import Layout

pytestmark = pytest.mark.anyio

NOBODY = 65_534


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder to somebody whom write protection stops, as it does not stop root."""
    made, us = Path(tempfile.mkdtemp()), os.geteuid()
    if us == 0:
        os.chown(made, NOBODY, -1)
        os.seteuid(NOBODY)
    try:
        yield made
    finally:
        if us == 0:
            os.seteuid(us)
        shutil.rmtree(made)


@pytest.mark.parametrize("is_ended", [False, True])
async def test_files_of_an_order_that_is_held_stay(tmp_path: Path, *, is_ended: bool) -> None:
    """It lies in a question to a person, not in the folder: while that is open, and no more."""
    layout, day = Layout(tmp_path), timedelta(days=1)
    file = layout.inbound_files("a") / "a.txt"
    for path in (file, layout.archive / "a.json") if is_ended else (file,):
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    for each in (file, file.parent, file.parent.parent):
        os.utime(each, (START.timestamp(), START.timestamp()))

    async def count(age: timedelta) -> int:
        """How many go so long after, by the shortest age that can be set."""
        files = FilesystemOldFiles(layout).find(OldKind.FILES, START + age - day - SLACK)
        return sum([len(piece) async for piece in files])

    assert await count(day) == 0
    assert await count(GOOD_FOR) == is_ended
    assert await count(GOOD_FOR + day) == 1


async def test_a_write_protected_folder_goes(folder: Path) -> None:
    """A cache that a tool protected is no reason to keep it; what a link leads to is left alone."""
    layout = Layout(folder / "project")
    inbound, other = layout.inbound_files("a"), folder / "other"
    inner = inbound / "cache" / "module"
    inner.mkdir(parents=True)
    (inner / "a.txt").write_text("content")
    (other / "inside").mkdir(parents=True)
    (inbound / "link").symlink_to(other)
    other.chmod(0o500)
    for each in (inner, inner.parent, inbound):
        each.chmod(0o500)
    files = FilesystemOldFiles(layout)
    assert await files.remove([Remnant(kind=OldKind.FILES, name=inbound.parent.name)]) == 1
    assert not inbound.exists()
    assert (other.stat().st_mode & 0o777, (other / "inside").exists()) == (0o500, True)
    other.chmod(0o700)


async def test_one_that_resists_keeps_no_other(tmp_path: Path) -> None:
    """The error is raised after the others are gone: else it would keep them for ever."""
    layout = Layout(tmp_path)
    (layout.outbox_archive / "folder.json").mkdir(parents=True)
    (layout.outbox_archive / "letter.json").write_text("{}")
    letters = [
        Remnant(kind=OldKind.LETTERS, name=name, letter=name.removesuffix(".json"))
        for name in ("folder.json", "letter.json")
    ]
    with pytest.raises(StorageUnavailable, match="folder"):
        await FilesystemOldFiles(layout).remove(letters)
    assert [path.name for path in layout.outbox_archive.iterdir()] == ["folder.json"]


async def test_a_daemon_that_stops_waits_for_one_folder_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thousands of large folders take minutes, and a stop is a matter of seconds."""
    layout, tree = Layout(tmp_path), shutil.rmtree
    names = [f"order-{number}" for number in range(5)]
    for name in names:
        layout.inbound_files(name).mkdir(parents=True)
    folders = [Remnant(kind=OldKind.FILES, name=name) for name in names]
    with anyio.CancelScope() as scope:

        def remove(folder: Path) -> None:
            tree(folder)
            from_thread.run_sync(scope.cancel)

        monkeypatch.setattr(shutil, "rmtree", remove)
        await FilesystemOldFiles(layout).remove(folders)
    assert scope.cancelled_caught
    monkeypatch.undo()
    assert await FilesystemOldFiles(layout).remove(folders) == 4
