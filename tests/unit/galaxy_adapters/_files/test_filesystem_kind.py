"""Telling a network folder from a local one."""

import sys
from pathlib import Path

import pytest

from galaxy_adapters._files import filesystem_kind, is_network_kind, refuse_network_folder
from galaxy_core.domain.errors import UnsupportedFilesystem

MOUNTS = """\
rootfs / ext4 rw 0 0
proc /proc proc rw 0 0
server:/export {folder}/net nfs4 rw 0 0
//host/share {folder}/with\\040space cifs rw 0 0
overlay {folder}/net/local overlay rw 0 0
broken line
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    """Give a table of mounts with network folders below `tmp_path`."""
    for name in ("net", "net/local", "with space", "nets"):
        (tmp_path / name).mkdir()
    table = tmp_path / "mounts"
    table.write_text(MOUNTS.format(folder=tmp_path), "utf-8")
    return table


@pytest.mark.parametrize(
    "name,kind",
    [
        ("", "ext4"),
        ("nets", "ext4"),
        ("net", "nfs4"),
        ("with space", "cifs"),
        ("net/local", "overlay"),
    ],
)
def test_nearest_mount_counts(tmp_path: Path, mounts: Path, name: str, kind: str) -> None:
    """The mount point that is nearest above the folder says what it lies on."""
    assert filesystem_kind(tmp_path / name, mounts=mounts) == kind


def test_unknown_system_is_taken_for_local(tmp_path: Path) -> None:
    """Without a table of mounts (macOS) nobody is kept from work."""
    assert filesystem_kind(tmp_path, mounts=tmp_path / "none") is None
    assert not is_network_kind(None)


@pytest.mark.parametrize(
    "kind,is_network",
    [
        ("ext4", False),
        ("xfs", False),
        ("btrfs", False),
        ("tmpfs", False),
        ("overlay", False),
        ("fuseblk", False),
        ("fuse.gocryptfs", False),
        ("nfs", True),
        ("cifs", True),
        ("9p", True),
        ("fuse.sshfs", True),
        ("fuse.something-new", True),
    ],
)
def test_kinds(kind: str, *, is_network: bool) -> None:
    """Served by another host, or perhaps so: a network file system."""
    assert is_network_kind(kind) is is_network


def test_network_folder_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the folder, the kind and what can be done."""
    module = sys.modules[refuse_network_folder.__module__]
    monkeypatch.setattr(module, "filesystem_kind", lambda _folder: "nfs4")
    with pytest.raises(UnsupportedFilesystem, match=r"nfs4.*polled"):
        refuse_network_folder(tmp_path)


def test_local_folder_is_accepted(tmp_path: Path) -> None:
    """This machine's own temporary folder is fit for use."""
    refuse_network_folder(tmp_path)
