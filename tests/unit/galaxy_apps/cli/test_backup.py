"""`galaxy backup` and `galaxy restore`: what is refused, what is left out, what comes back."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import tarfile
from pathlib import Path

import anyio
import pytest

from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_core.ports.note_store import Note
from galaxy_core.wire.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Give a project with something of everything."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    assert main(["init", "--yes", "--name", "lab", "--dispatcher", "scripted"]) == ExitCode.OK
    assert main(["order", "submit", "Hello", "--id", "one"]) == ExitCode.OK
    assert main(["order", "cancel", "one"]) == ExitCode.OK
    assert main(["order", "submit", "Hello", "--id", "two"]) == ExitCode.OK
    layout = Layout(home)
    (layout.settings_folder / "web-token").write_text("a secret")
    connection = sqlite3.connect(layout.gateway_notes)
    connection.execute("PRAGMA journal_mode = WAL")
    with connection:
        connection.execute("CREATE TABLE x (y)")
        connection.execute("INSERT INTO x VALUES (7)")
    connection.close()
    return layout


def files(layout: Layout) -> dict[str, tuple[bytes, int]]:
    """Orders, archive, responses and letters, with their times."""
    folders = (layout.orders, layout.archive, layout.outbox, layout.notepads)
    found = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    return {
        str(path.relative_to(layout.repo_path)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in found
    }


def copy_of(layout: Layout, *words: str) -> Path:
    """Make a copy."""
    file = layout.repo_path.parent / f"copy{len(words)}.tar.gz"
    assert main(["backup", str(file), *words]) == ExitCode.OK
    return file


def test_what_was_there_is_there_again(layout: Layout, tmp_path: Path) -> None:
    """Contents and times come back, databases whole, and the trail goes on."""
    file = copy_of(layout)
    assert file.stat().st_mode & 0o077 == 0
    other = Layout(tmp_path / "other")
    assert main(["restore", str(file), "--into", str(other.repo_path)]) == ExitCode.OK
    assert files(other) == files(layout)
    connection = sqlite3.connect(other.gateway_notes)
    assert connection.execute("SELECT y FROM x").fetchall() == [(7,)]
    connection.close()
    types = [json.loads(line)["event_type"] for line in other.audit_log.read_bytes().splitlines()]
    assert types[-1] == "backup_restored"
    assert not list(other.repo_path.glob(".galaxy-restoring-*"))


def test_what_was_decided_stays_decided(
    layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A given-up order that was dismissed asks nobody again because a copy was put in place."""
    order = {"order_id": "dead", "payload": "x", "acknowledged": True, "outcome": "dead"}
    (layout.archive / "dead.json").write_text(json.dumps(order))
    assert main(["order", "dismiss", "dead"]) == ExitCode.OK
    other = tmp_path / "other"
    words = ["restore", str(copy_of(layout, "--with-secrets")), "--into", str(other)]
    assert main(words) == ExitCode.OK
    capsys.readouterr()
    main(["--config", str(other / ".galaxy/config.json"), "order", "dismiss", "dead"])
    assert "was decided on before" in capsys.readouterr().out


def test_secrets_only_on_request(layout: Layout, tmp_path: Path) -> None:
    """Settings and tokens leave the machine only when they are asked for."""
    for words, is_in in (((), False), (("--with-secrets",), True)):
        with tarfile.open(copy_of(layout, *words)) as tar:
            names = set(tar.getnames())
        assert ("folder/.galaxy/config.json" in names) is is_in
        assert ("folder/.galaxy/web-token" in names) is is_in


def test_a_copy_is_never_written_over(layout: Layout) -> None:
    """An older copy may be the only good one."""
    file = copy_of(layout)
    before = file.read_bytes()
    assert main(["backup", str(file)]) == ExitCode.FAILURE
    assert file.read_bytes() == before


@pytest.mark.parametrize("deed", ["cut", "flip", "other"])
def test_a_damaged_copy_changes_nothing(layout: Layout, tmp_path: Path, deed: str) -> None:
    """Everything is checked before anything is written."""
    file = copy_of(layout)
    data = bytearray(file.read_bytes())
    match deed:
        case "cut":
            del data[len(data) // 2 :]
        case "flip":
            data[len(data) // 2] ^= 1
        case _:
            data = bytearray(b"hello")
    file.write_bytes(data)
    target = tmp_path / "other"
    assert main(["restore", str(file), "--into", str(target)]) == ExitCode.FAILURE
    assert not target.exists()


@pytest.mark.parametrize("name", ["folder/../../evil", "folder/home/x", "folder/logs/../../x"])
def test_a_copy_that_leads_elsewhere_is_refused(
    layout: Layout, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name from outside never leaves the folder."""
    file = tmp_path / "evil.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo(name))
    assert main(["restore", str(file), "--into", str(tmp_path / "other")]) == ExitCode.FAILURE
    assert "has no place in the folder" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_a_folder_that_holds_something_is_kept(layout: Layout, tmp_path: Path) -> None:
    """Without --force nothing is touched; with it, what was there is moved aside."""
    file = copy_of(layout)
    assert main(["order", "submit", "Later", "--id", "three"]) == ExitCode.OK
    before = files(layout)
    assert main(["restore", str(file)]) == ExitCode.FAILURE
    assert files(layout) == before
    assert main(["restore", str(file), "--force"]) == ExitCode.OK
    assert not (layout.orders / "three.json").exists()
    (aside,) = layout.repo_path.glob(".galaxy-before-*")
    assert files(Layout(aside)) == before
    assert (layout.settings_folder / "web-token").exists()


def test_a_folder_in_use_is_refused(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even --force takes the ground from under a running daemon."""
    file = copy_of(layout)
    fd = os.open(layout.gateway_lock, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        assert main(["restore", str(file), "--force"]) == ExitCode.FAILURE
    finally:
        os.close(fd)
    assert "is in use" in capsys.readouterr().err


def test_a_torn_end_of_the_trail_is_left_out(layout: Layout, tmp_path: Path) -> None:
    """The trail is cut at a line: one that is just being written is not in the copy."""
    with layout.audit_log.open("ab") as trail:
        trail.write(b'{"timestamp": "20')
    file = copy_of(layout)
    assert main(["restore", str(file), "--into", str(tmp_path / "other")]) == ExitCode.OK
    assert main(["--config", str(tmp_path / "no"), "version"]) == ExitCode.OK
    data = Layout(tmp_path / "other").audit_log.read_bytes()
    assert b'"20\n' not in data


def test_a_gateway_apart_has_a_copy_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes that lie in no machine's folder are named by the machine's copy, and put back alike."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    home, machine = tmp_path / "home", tmp_path / "machine"
    (home / ".galaxy").mkdir(parents=True, mode=0o700)
    machine.mkdir()
    settings = {"machines": {"lab": {"repo_path": str(machine)}}, "dispatcher": "scripted"}
    (home / ".galaxy" / "config.json").write_text(json.dumps(settings))
    monkeypatch.chdir(home)

    async def remember(key: str) -> None:
        async with Home(load(None)).notes() as notes:
            await notes.add([Note(kind="test", key=key)])

    async def known() -> list[str]:
        async with Home(load(None)).notes() as notes:
            return [note.key for note in await notes.list("test")]

    anyio.run(remember, "before")
    assert main(["backup", str(tmp_path / "m.tar.gz")]) == ExitCode.OK
    assert "galaxy backup FILE --machine gateway" in capsys.readouterr().out
    copy = str(tmp_path / "g.tar.gz")
    assert main(["backup", copy, "--machine", "gateway"]) == ExitCode.OK
    anyio.run(remember, "after")
    assert main(["restore", copy, "--machine", "gateway", "--force"]) == ExitCode.OK
    assert anyio.run(known) == ["before"]
    assert (home / ".galaxy" / "config.json").exists()
