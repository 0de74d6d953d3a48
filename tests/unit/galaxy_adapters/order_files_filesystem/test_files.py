"""Orders' folders: whose they are, and what in them is not passed on."""

import os
import stat
from pathlib import Path

import pytest

from galaxy_adapters.order_files_filesystem import FilesystemOrderFiles
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import ConversationKey, OrderId
from galaxy_core.wire.layout import Layout

ORDER = OrderId("a")
CHAT = ConversationKey("telegram:5")


async def test_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    """People's files lie there: nobody else on the machine reads them."""
    link = await FilesystemOrderFiles(Layout(tmp_path)).open_outgoing(ORDER, CHAT)
    folder = Layout(tmp_path).outbound_files("a")
    assert link.resolve() == folder.resolve()
    for each in (folder, folder.parent, folder.parent.parent, link.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


async def test_only_plain_files_are_passed_on(tmp_path: Path) -> None:
    """A link could name any file of the machine, a pipe would never end."""
    files = FilesystemOrderFiles(Layout(tmp_path))
    folder = await files.open_outgoing(ORDER, CHAT)
    (folder / "plain").write_text("x")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    assert await files.outgoing(ORDER) == (str(Layout(tmp_path).outbound_files("a") / "plain"),)


async def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    """Whoever puts a link in the folder's place gets nothing of what lies behind it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_text("x")
    layout = Layout(tmp_path)
    folder = layout.outbound_files("a")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(tmp_path / "elsewhere")
    files = FilesystemOrderFiles(layout)
    assert await files.outgoing(ORDER) == ()
    with pytest.raises(StorageUnavailable, match="a file stands where a folder should be"):
        await files.open_outgoing(ORDER, CHAT)
