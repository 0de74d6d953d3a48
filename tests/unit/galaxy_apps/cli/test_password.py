"""`galaxy config password`: the hash goes into the settings, the password nowhere."""

import io
import json
import stat
from pathlib import Path

import pytest

from galaxy_adapters._web import is_hash
from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode

PASSWORD = "correct horse"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder's settings file."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".galaxy" / "config.json"
    path.parent.mkdir()
    path.write_text('{"_why": "ä", "machines": {"lab": {}}, "web": {"port": 9000}}')
    return path


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_piped_password_is_kept_as_its_hash(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything else in the file stays, and only its owner can read it from now on."""
    pipe(monkeypatch, f"{PASSWORD}\n")
    assert main(["config", "password"]) == ExitCode.OK
    written = json.loads(settings.read_text())
    assert is_hash(written["web"].pop("password"))
    assert written == {"_why": "ä", "machines": {"lab": {}}, "web": {"port": 9000}}
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    said = capsys.readouterr()
    assert PASSWORD not in settings.read_text() + said.out + said.err
    assert main(["config", "check", "--strict"]) == ExitCode.OK
    assert [path.name for path in settings.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize("text", ["", "\n", "short\n", "x" * 1025 + "\n"])
def test_one_that_is_none_is_refused(
    settings: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Nothing is written then."""
    before = settings.read_text()
    pipe(monkeypatch, text)
    assert main(["config", "password"]) == ExitCode.USAGE
    assert settings.read_text() == before


def test_it_is_asked_for_until_two_agree(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: twice, without showing it."""
    typed = ["short", PASSWORD, "other one", PASSWORD, PASSWORD]
    monkeypatch.setattr("getpass.getpass", lambda _: typed.pop(0))
    monkeypatch.setattr("galaxy_apps.cli.password.is_terminal", lambda _: True)
    assert main(["config", "password"]) == ExitCode.OK
    assert typed == []


def test_without_a_file_there_is_nowhere_to_keep_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says what makes one."""
    monkeypatch.delenv("GALAXY_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["config", "password"]) == ExitCode.SETTINGS
    assert "galaxy init" in capsys.readouterr().err
