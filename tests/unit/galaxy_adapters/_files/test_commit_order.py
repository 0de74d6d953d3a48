"""Which disks are taken for ones that commit names in order: none but those that are known to."""

import os
import time
from pathlib import Path

import pytest

from galaxy_adapters._files import commit_order
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


@pytest.mark.parametrize("done", ["3 commits\n0 ineligible", "0 commits\n1 ineligible"])
def test_fast_commits(system: Path, done: str) -> None:
    """Most kernels do not show among the options that fast commits are on, but what they did."""
    told = system / "ext4" / "vda3" / "fc_info"
    told.write_text("fc stats:\n0 commits\n0 ineligible\n0 numblks\n0us avg_commit_time\n")
    assert answer(system)
    told.write_text(f"fc stats:\n{done}\n8 numblks\n90us avg_commit_time\n")
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


def test_disk_is_asked_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was mounted in another way is believed for a minute at most, and not asked often."""
    asked: list[int] = []
    now = 7000.0

    def ask(device: int) -> bool:
        asked.append(device)
        return len(asked) == 1

    monkeypatch.setattr(commit_order, "is_ordered", ask)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    commit_order._is_ordered_device.cache_clear()
    try:
        assert [commits_in_order(tmp_path) for _ in range(3)] == [True] * 3
        assert len(asked) == 1
        now += 60
        assert not commits_in_order(tmp_path)
    finally:
        commit_order._is_ordered_device.cache_clear()


def test_this_folder_has_an_answer(tmp_path: Path) -> None:
    """Whatever disk the tests run on, asking works."""
    assert commits_in_order(tmp_path) == is_ordered(tmp_path.stat().st_dev)
    assert commits_in_order(str(tmp_path)) == commits_in_order(tmp_path)
