"""`galaxy pair` and `galaxy people`: who may talk to the bot."""

import json
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from galaxy_apps.cli.main import main
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_core.domain.message import Address
from galaxy_core.services.gateway.pairing import PairingRequest, shown
from galaxy_core.wire.layout import Layout


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> Path:
    """The current folder is a project whose settings name two people; the log is put back."""
    for name in ("GALAXY_CONFIG", "GALAXY_TELEGRAM_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".galaxy").mkdir()
    write_settings(tmp_path, authorized_users=[5, 6], roles={"6": "viewer"})
    return tmp_path


def write_settings(folder: Path, **settings: object) -> None:
    """Write the project's file."""
    (folder / ".galaxy" / "config.json").write_text(json.dumps(settings))


def ask(person_id: str = "77", name: str = "Ann\x1b[2J") -> str:
    """A stranger writes /start; the code that they are shown."""
    home = Home(load())

    async def work() -> PairingRequest | None:
        async with home.notes() as notes:
            address = Address(channel="telegram", chat_id=person_id)
            return await home.pairing(notes).request(address, person_id, name)

    request = anyio.run(work)
    assert request is not None
    assert request.expires_at - home.clock().now() <= timedelta(minutes=10)
    return request.code


def people(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """What `galaxy people list --json` says."""
    capsys.readouterr()
    assert main(["people", "list", "--json"]) == ExitCode.OK
    listed: list[dict[str, object]] = json.loads(capsys.readouterr().out)["people"]
    return listed


def test_a_person_is_let_in_by_their_code(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The code is taken as people type it; the list, the trail and the person hear of it."""
    code = ask()
    assert main(["pair", shown(code).lower(), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["role"] == "operator"
    assert [(each["id"], each["role"], each["is_from_settings"]) for each in people(capsys)] == [
        ("5", "owner", True),
        ("6", "viewer", True),
        ("77", "operator", False),
    ]
    layout = Layout(project)
    letter = json.loads(next(layout.outbox.glob("pairing-*.json")).read_text())
    assert letter["chat_id"] == "77"
    lines = [json.loads(line) for line in layout.audit_log.read_text().splitlines()]
    assert [line["event_type"] for line in lines] == ["pairing_requested", "person_admitted"]


def test_the_first_person_is_the_owner(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has to decide; the terminal is where they are trusted."""
    write_settings(project)
    assert main(["pair", ask()]) == ExitCode.OK
    assert capsys.readouterr().out == "Ann [2J (77) is in as owner.\n"


def test_a_role_may_be_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who only wants to look needs no more."""
    assert main(["pair", ask(), "--role", "viewer"]) == ExitCode.OK
    assert people(capsys)[-1]["role"] == "viewer"


def test_a_wrong_code_lets_nobody_in(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Mistyped, used or too old: one sentence, and the list stays."""
    code = ask()
    assert main(["pair", "AAAA-AAAA"]) == ExitCode.NOT_FOUND
    assert "Nobody waits for this code" in capsys.readouterr().err
    assert main(["pair", code]) == ExitCode.OK
    assert main(["pair", code]) == ExitCode.NOT_FOUND
    assert len(people(capsys)) == 3


def test_a_person_is_taken_off_the_list(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From then on they are strangers again; who did it is on record."""
    assert main(["pair", ask()]) == ExitCode.OK
    assert main(["people", "remove", "77"]) == ExitCode.OK
    assert [each["id"] for each in people(capsys)] == ["5", "6"]
    last = Layout(project).audit_log.read_text().splitlines()[-1]
    assert json.loads(last)["event_type"] == "person_removed"
    assert main(["people", "remove", "77"]) == ExitCode.NOT_FOUND
    assert "no '77' of telegram on the list" in capsys.readouterr().err


def test_people_of_the_settings_are_removed_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that seemed to remove them, and did not, would be dangerous."""
    assert main(["people", "remove", "5"]) == ExitCode.FAILURE
    assert "take it out of authorized_users" in capsys.readouterr().err


def test_nobody_on_the_list_says_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first five minutes: the way in is named."""
    write_settings(project)
    assert main(["people", "list"]) == ExitCode.OK
    assert "Write /start to the bot" in capsys.readouterr().out


def test_the_list_is_a_table_for_people(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names come from outside: they cannot steer the terminal."""
    assert main(["pair", ask()]) == ExitCode.OK
    capsys.readouterr()
    assert main(["people", "list"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["ID", "CHANNEL", "ROLE", "NAME", "SINCE"]
    assert "Ann [2J" in out
    assert "(settings)" in out
