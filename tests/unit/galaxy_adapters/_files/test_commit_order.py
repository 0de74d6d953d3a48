"""Which disks are taken for ones that commit names in order: none but those that are known to."""

import os
from pathlib import Path

import pytest

from galaxy_adapters._files.commit_order import commits_in_order, is_ordered

DEVICE = os.makedev(254, 3)
OPTIONS = "rw\ndelalloc\nbarrier\nauto_da_alloc\ndata=ordered\n"


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """Give the files by which Linux describes a disk: ext4 with a journal of its own."""
    (tmp_path / "vda3").mkdir()
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "254:3").symlink_to("../vda3")
    (tmp_path / "ext4" / "vda3").mkdir(parents=True)
    (tmp_path / "ext4" / "vda3" / "options").write_text(OPTIONS)
    (tmp_path / "journals" / "vda3-8").mkdir(parents=True)
    return tmp_path


def answer(system: Path, *, device: int = DEVICE, release: str = "6.1.0-32-amd64") -> bool:
    """Ask about the disk."""
    return is_ordered(
        device,
        ext4=system / "ext4",
        journals=system / "journals",
        devices=system / "devices",
        release=release,
    )


def test_usual_ext4(system: Path) -> None:
    """Ext4 with its defaults is one."""
    assert answer(system)


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS.replace("ordered", "writeback"),
        OPTIONS.replace("ordered", "journal"),
        OPTIONS.replace("data=ordered\n", ""),
        OPTIONS.replace("barrier", "nobarrier"),
        OPTIONS.replace("rw", "ro"),
        OPTIONS + "fc_debug_force\n",
        "",
    ],
)
def test_other_options(system: Path, options: str) -> None:
    """Without barriers, with another way of journaling or none, it is not."""
    (system / "ext4" / "vda3" / "options").write_text(options)
    assert not answer(system)


def test_journal_elsewhere(system: Path) -> None:
    """A journal on another device is listed under that one's name."""
    (system / "journals" / "vda3-8").rename(system / "journals" / "vdb")
    assert not answer(system)
    (system / "journals" / "vda33-8").mkdir()
    assert not answer(system)


def test_other_file_systems(system: Path) -> None:
    """A device that ext4 does not know of, or that is none, is not."""
    assert not answer(system, device=os.makedev(0, 25))
    (system / "ext4" / "vda3" / "options").unlink()
    assert not answer(system)


@pytest.mark.parametrize("release", ["5.1.21", "4.19.0-27-amd64", "3.10.0", "", "strange"])
def test_old_kernels(system: Path, release: str) -> None:
    """Before Linux 5.2 waiting for a file to be written out could pass over pages of it."""
    assert not answer(system, release=release)
    assert answer(system, release="5.2.0")
    assert answer(system, release="10.0")


def test_this_folder_has_an_answer(tmp_path: Path) -> None:
    """Whatever disk the tests run on, asking works, and the answer stays."""
    assert commits_in_order(tmp_path) == is_ordered(tmp_path.stat().st_dev)
    assert commits_in_order(str(tmp_path)) == commits_in_order(tmp_path)
