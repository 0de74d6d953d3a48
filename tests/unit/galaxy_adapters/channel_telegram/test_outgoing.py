"""Which files leave the machine."""

import os
from pathlib import Path

import pytest

from galaxy_adapters.channel_telegram._outgoing import (
    Kept,
    OutgoingFile,
    OutgoingRules,
    is_secret,
    open_file,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of a project, beside one that is not."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "report.txt").write_text("fine")
    (tmp_path / "private.txt").write_text("private")
    return root


def _opened(path: str, *roots: Path, limit: int = 1_000) -> OutgoingFile | Kept:
    found = open_file(path, OutgoingRules(roots=roots, largest_bytes=limit))
    if isinstance(found, OutgoingFile):
        found.stream.close()
    return found


@pytest.mark.parametrize(
    "form", ["report.txt", "./report.txt", "../project/report.txt", "{root}/report.txt"]
)
def test_file_below_a_root_is_sent(root: Path, form: str) -> None:
    """Relative paths start at the root; it does not matter how the file is named."""
    found = _opened(form.format(root=root), root)
    assert isinstance(found, OutgoingFile)
    assert (found.name, found.size) == ("report.txt", 4)


def test_every_root_is_looked_in(root: Path, tmp_path: Path) -> None:
    """A letter of any machine finds its files."""
    other = tmp_path / "other"
    other.mkdir()
    assert isinstance(_opened("report.txt", other, root), OutgoingFile)


def test_link_within_the_root_is_followed(root: Path) -> None:
    """A link is the file that it leads to, under the name of the link."""
    (root / "newest.txt").symlink_to("report.txt")
    assert isinstance(_opened("newest.txt", root), OutgoingFile)


@pytest.mark.parametrize(
    "form", ["../private.txt", "{tmp}/private.txt", "link.txt", "folder/private.txt", "/etc/passwd"]
)
def test_nothing_outside_is_sent(root: Path, tmp_path: Path, form: str) -> None:
    """Neither dots nor links lead out of the root."""
    (root / "link.txt").symlink_to(tmp_path / "private.txt")
    (root / "folder").symlink_to(tmp_path)
    found = _opened(form.format(tmp=tmp_path), root)
    assert isinstance(found, Kept)
    assert "outside" in found.line


def test_without_roots_nothing_is_sent(root: Path) -> None:
    """Who has named no folder sends no file."""
    assert isinstance(_opened(str(root / "report.txt")), Kept)


@pytest.mark.parametrize(
    "name",
    [
        *(".env", ".env.production", "prod.env", ".ENV", "id_rsa", "id_ed25519", "server.pem"),
        *("tls.KEY", ".netrc", ".git-credentials", "auth.json", "credentials.json", "x.kdbx"),
        *(".ssh/config", ".git/config", ".galaxy/config.json", "a/.aws/credentials", ".npmrc"),
        *("secrets.yaml", "terraform.tfstate", "service-account-1.json"),
    ],
)
def test_secrets_stay(root: Path, name: str) -> None:
    """What looks like a secret is not sent, wherever it lies, not even through a link."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("secret")
    (root / "harmless.txt").symlink_to(root / name)
    for path in (name, "harmless.txt"):
        found = _opened(path, root)
        assert isinstance(found, Kept)
        assert "secret" in found.reason


@pytest.mark.parametrize(
    "name",
    [".env.example", "id_rsa.pub", "keyboard.txt", "environment.md", "monkey.png", "a.git.txt"],
)
def test_harmless_names_are_no_secrets(name: str) -> None:
    """The list does not catch what only sounds alike."""
    assert not is_secret(Path(name))


def test_what_cannot_be_sent_is_named_with_the_reason(root: Path) -> None:
    """People learn which file they did not get, and why."""
    (root / "large.bin").write_bytes(b"x" * 2_001)
    (root / "empty.txt").touch()
    (root / "folder").mkdir()
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to("loop")
    reasons = {
        "large.bin": "limit",
        "empty.txt": "empty",
        "folder": "no plain file",
        "pipe": "no plain file",
        "gone.txt": "not there",
        "loop": "cannot be read",
        "nul\0.txt": "cannot be read",
    }
    for name, reason in reasons.items():
        found = _opened(name, root)
        assert isinstance(found, Kept), name
        assert reason in found.line, name
        assert found.name in found.line


def test_name_is_safe_to_show(root: Path) -> None:
    """A name may hold what breaks headers or turns text round."""
    name = 'a"b\u202etxt.exe\n.txt'
    (root / name).write_text("x")
    found = _opened(name, root)
    assert isinstance(found, OutgoingFile)
    assert found.name == "a_b_txt.exe_.txt"
