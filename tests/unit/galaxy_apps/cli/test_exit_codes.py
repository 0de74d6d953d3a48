"""Every exit code of docs/reference/cli.md, brought about."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters._files import exclusive_lock
from galaxy_apps import dashboard, gateway, hermes
from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.response import Outcome
from galaxy_core.wire.layout import Layout

Main = Callable[[Sequence[str]], int]
Code = ExitCode


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> Path:
    """The current folder is a project; an order of it waits, others ended in every way."""
    for name in ("GALAXY_CONFIG", "GALAXY_OPENCODE_BIN", "LISTEN_FDS", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert main(["init", "--yes", "--name", "lab", "--dispatcher", "scripted"]) == Code.OK
    assert main(["order", "submit", "--id", "waits", "Do it"]) == Code.OK
    archive = Layout(folder).archive
    for outcome in Outcome:
        order = {"order_id": f"o-{outcome.value}", "payload": "x", "acknowledged": True}
        content = json.dumps(order | {"outcome": outcome.value})
        (archive / f"o-{outcome.value}.json").write_text(content)
    (folder / "damaged.tar.gz").write_text("no copy")
    return folder


def change(project: Path, **settings: object) -> None:
    """Write some settings."""
    file = project / ".galaxy" / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


COMMANDS: list[tuple[ExitCode, str]] = [
    (Code.OK, "version"),
    (Code.OK, "order list"),
    (Code.OK, "order show waits"),
    (Code.OK, "order wait o-succeeded"),
    (Code.OK, "order cancel waits"),
    (Code.OK, "order cancel o-cancelled"),
    (Code.OK, "order answer waits"),
    (Code.OK, "order retry o-failed"),
    (Code.OK, "order dismiss o-dead"),
    (Code.OK, "audit"),
    (Code.OK, "sessions list"),
    (Code.OK, "people list"),
    (Code.OK, "config check"),
    (Code.OK, "config show"),
    (Code.OK, "cleanup"),
    (Code.OK, "backup copy.tar.gz"),
    (Code.OK, "migrate"),
    (Code.OK, "completion bash"),
    (Code.FAILURE, "order cancel o-succeeded"),
    (Code.FAILURE, "order answer waits once"),
    (Code.FAILURE, "order retry waits"),
    (Code.FAILURE, "order retry o-succeeded"),
    (Code.FAILURE, "order dismiss o-dead waits"),
    (Code.FAILURE, "order dismiss o-failed"),
    (Code.FAILURE, "health"),
    (Code.FAILURE, "doctor"),
    (Code.FAILURE, "init --yes"),
    (Code.FAILURE, "backup damaged.tar.gz"),
    (Code.FAILURE, "restore damaged.tar.gz --into elsewhere"),
    (Code.FAILURE, f"audit verify --anchor {'a' * 64}"),
    (Code.USAGE, ""),
    (Code.USAGE, "nonsense"),
    (Code.USAGE, "order"),
    (Code.USAGE, "order list --limit many"),
    (Code.USAGE, "order dismiss"),
    (Code.USAGE, "audit --since yesterday-ish"),
    (Code.USAGE, "audit verify --anchor zz"),
    (Code.USAGE, "cleanup --kind nonsense=3"),
    (Code.USAGE, "completion tcsh"),
    (Code.USAGE, "services install nonsense"),
    (Code.NOT_FOUND, "order show none"),
    (Code.NOT_FOUND, "order wait none"),
    (Code.NOT_FOUND, "order cancel none"),
    (Code.NOT_FOUND, "order answer none"),
    (Code.NOT_FOUND, "order retry none"),
    (Code.NOT_FOUND, "order dismiss o-dead none"),
    (Code.NOT_FOUND, "sessions reset none"),
    (Code.NOT_FOUND, "pair 000000"),
    (Code.NOT_FOUND, "people remove 7"),
    (Code.NOT_FOUND, "restore none.tar.gz"),
    (Code.SETTINGS, "--config none.json order list"),
    (Code.SETTINGS, "order list --machine roof"),
    (Code.TIMED_OUT, "order wait waits --timeout 0"),
    (Code.TIMED_OUT, "order submit more --wait --timeout 0"),
    (Code.NOT_SUCCEEDED, "order wait o-failed"),
    (Code.NOT_SUCCEEDED, "order wait o-cancelled"),
    (Code.NOT_SUCCEEDED, "order wait o-expired"),
    (Code.NOT_SUCCEEDED, "order wait o-dead"),
]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("code, words", COMMANDS, ids=[f"{c.name} {w}" for c, w in COMMANDS])
def test_commands(code: ExitCode, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A script tells by the code what happened, and a person by the sentence."""
    capsys.readouterr()
    assert main(words.split()) == code, capsys.readouterr().err
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert said.out or said.err


@pytest.mark.parametrize("daemon", [hermes.main, gateway.main, dashboard.main])
def test_daemons_without_settings(daemon: Main, project: Path) -> None:
    """Nothing but a person mends that, so no supervisor tries again."""
    assert daemon(["--config", str(project / "none.json")]) == Code.SETTINGS


def test_a_missing_agent(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hermes and `galaxy up` say that opencode is not there."""
    change(project, dispatcher="opencode-server")
    monkeypatch.setenv("PATH", str(project))
    monkeypatch.setenv("HOME", str(project))
    assert hermes.main(["--once"]) == Code.NO_AGENT
    assert main(["up", "--no-browser"]) == Code.NO_AGENT


def test_a_folder_that_cannot_be_used(tmp_path: Path, project: Path) -> None:
    """Handing in and working off end the same way, also for root."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / ".sisyphus").write_text("in the way")
    change(project, machines={"lab": {"repo_path": str(folder)}})
    assert main(["order", "submit", "x"]) == Code.NO_STORAGE
    assert hermes.main(["--once"]) == Code.NO_STORAGE


def test_a_second_gateway(project: Path) -> None:
    """The one that is there goes on."""
    change(project, telegram_token="123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x")
    lock = Layout(project).gateway_lock
    lock.parent.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(lock, timeout=timedelta(0)):
        assert gateway.main([]) == Code.ALREADY_RUNNING


@pytest.mark.usefixtures("project")
def test_a_reader_that_went_away() -> None:
    """As a shell reports it, and without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "galaxy_apps.cli.main", "completion", "bash"]
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (Code.BROKEN_PIPE, b"")


@pytest.mark.usefixtures("project")
def test_ctrl_c() -> None:
    """As a shell reports it, and without a word."""
    words = [sys.executable, "-m", "galaxy_apps.cli.main", "audit", "--follow"]
    assert main(["order", "cancel", "waits"]) == Code.OK
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (Code.INTERRUPTED, b"")
