"""Putting services where they belong: what root makes for somebody else is theirs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from galaxy_apps.services.installing import make_folders
from galaxy_apps.services.systemd import ServicesUnavailable, Systemd
from galaxy_core.domain.errors import StorageUnavailable

USER, GROUP = 12_345, 23_456
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes folders for others")


@pytest.fixture
def project() -> Iterator[Path]:
    """Give somebody's folder, where they can come to it."""
    made = Path(tempfile.mkdtemp())
    os.chown(made, USER, GROUP)
    yield made
    shutil.rmtree(made)


def test_missing_folders_are_made(tmp_path: Path) -> None:
    """With those above them; what is there stays as it is."""
    there, missing = tmp_path / "there", tmp_path / "a" / "b"
    there.mkdir(mode=0o700)
    make_folders([there, missing], (os.geteuid(), os.getegid()))
    assert missing.is_dir()
    assert there.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("is_system, user", [(True, USER), (True, 0), (False, USER)])
def test_only_root_changes_the_systems_services(
    monkeypatch: pytest.MonkeyPatch, user: int, *, is_system: bool
) -> None:
    """Said in a sentence before anything is stopped or written; reading needs no rights."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    refusal = pytest.raises(ServicesUnavailable, match="use sudo")
    with refusal if is_system and user != 0 else nullcontext():
        Systemd(environ={}, is_system=is_system).require_rights()


@as_root
def test_folders_belong_to_who_runs_the_services(project: Path) -> None:
    """Gateway and Hermes, which are not root, could not write into a folder of root's."""
    make_folders([project / ".sisyphus" / "notepads", project / "logs"], (USER, GROUP))
    made = [path for path in project.rglob("*") if path.is_dir()]
    assert {path.name for path in made} == {".sisyphus", "notepads", "logs"}
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(USER, GROUP)}


@as_root
def test_no_link_leads_root_elsewhere(project: Path, tmp_path: Path) -> None:
    """What the owner may not make is not made for them."""
    tmp_path.chmod(0o755)
    (project / "logs").symlink_to(tmp_path)
    with pytest.raises(StorageUnavailable, match="12345"):
        make_folders([project / "logs" / "deep"], (USER, GROUP))
    assert list(tmp_path.iterdir()) == []
