"""`galaxy migrate` and `galaxy upgrade-check`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.wire.layout import Layout


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Give a folder as the original left it."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    layout = Layout(tmp_path)
    for folder in (layout.orders, layout.outbox, layout.settings_folder):
        folder.mkdir(parents=True)
    settings = {"dispatcher": "scripted", "workers": 2, "features": {}, "ntfy_topic": "x"}
    (layout.settings_folder / "config.json").write_text(json.dumps(settings))
    (layout.settings_folder / "config.json").chmod(0o600)
    (layout.settings_folder / "users.db").touch()
    layout.sessions.write_text('{"session_id": "ses_1", "updated_at": "2026-02-02T12:00:00Z"}')
    (layout.orders / "a.json").write_text('{"payload": "Hello", "timestamp": 0}')
    (layout.orders / "b.json.processing").write_text('{"payload": "Hello"}')
    (layout.outbox / "c.json").write_text('{"message": "Hello", "sent": true}')
    return layout


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[ExitCode, dict[str, Any]]:
    """Run a command; its document."""
    capsys.readouterr()
    code = main([*words, "--json"])
    return ExitCode(code), json.loads(capsys.readouterr().out)


def test_what_is_left_is_told_and_nothing_touched(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the queue reads anyway is only reported; without --apply nothing changes."""
    before = {p: p.read_bytes() for p in layout.repo_path.rglob("*") if p.is_file()}
    code, found = run(capsys, "migrate")
    assert code == ExitCode.OK
    assert found["read_anyway"] == [
        "1 order of an older shape",
        "1 order that a crash left claimed",
        "1 letter marked as sent",
        "the session that everybody shared",
    ]
    assert found["unused_files"] == ["users.db"]
    assert found["meaningless_keys"] == ["features", "ntfy_topic"]
    assert {p: p.read_bytes() for p in layout.repo_path.rglob("*") if p.is_file()} == before


def test_settings_that_mean_nothing_go_once(
    layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others stay, the old file is kept, and a second run has nothing to do."""
    path = layout.settings_folder / "config.json"
    before = path.read_bytes()
    kept = run(capsys, "migrate", "--apply")[1]["kept"]
    assert json.loads(path.read_bytes()) == {"dispatcher": "scripted", "workers": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert (layout.settings_folder / kept).read_bytes() == before
    again = run(capsys, "migrate", "--apply")[1]
    assert (again["kept"], again["meaningless_keys"]) == (None, [])


def test_a_newer_database_is_a_problem(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """What this version cannot read is named before a daemon fails on it."""
    assert run(capsys, "upgrade-check")[0] == ExitCode.OK
    layout.state.mkdir()
    connection = sqlite3.connect(layout.gateway_notes)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    code, found = run(capsys, "upgrade-check")
    assert (code, len(found["problems"])) == (ExitCode.FAILURE, 1)
    assert "version 99" in found["problems"][0]
