"""Secrets that a service manager hands over as files."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from galaxy_apps.settings import Configuration, SettingsError, load

TOKEN = "123456:from-a-credential"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of credentials, as a service sees it."""
    made = tmp_path / "credentials"
    made.mkdir()
    return made


def read(folder: Path, content: object, **environ: str) -> Configuration:
    """The settings of a service whose credentials lie in the folder."""
    file = folder.parent / "config.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    file.chmod(0o600)
    variables: Mapping[str, str] = {"CREDENTIALS_DIRECTORY": str(folder), **environ}
    return load(file, environ=variables, cwd=folder.parent)


def test_a_credential_counts_before_the_file_and_after_a_variable(folder: Path) -> None:
    """Who sets a variable means it; the file may still hold the old token."""
    (folder / "telegram_token").write_text(f"{TOKEN}\n", encoding="utf-8")
    in_file = {"telegram_token": "1:file"}
    assert read(folder, in_file).telegram_token().reveal() == TOKEN
    variable = read(folder, in_file, GALAXY_TELEGRAM_TOKEN="1:variable")
    assert variable.telegram_token().reveal() == "1:variable"
    assert TOKEN in read(folder, {}).settings.secrets()


def test_secrets_in_groups_are_named_after_their_path(folder: Path) -> None:
    """`opencode.password`, as problems name it."""
    (folder / "opencode.password").write_text("hush", encoding="utf-8")
    opencode = read(folder, {"opencode": {"url": "http://127.0.0.1:1"}}).settings.opencode
    assert opencode.password is not None
    assert opencode.password.reveal() == "hush"


def test_only_secrets_are_taken_from_there(folder: Path) -> None:
    """A credential is no second way to set everything."""
    (folder / "workers").write_text("9", encoding="utf-8")
    assert read(folder, {}).settings.hermes.workers == 4


def test_a_credential_that_is_not_there_is_none(folder: Path) -> None:
    """Most services have other credentials, or none of ours."""
    assert read(folder, {}).settings.telegram.token is None
    (folder / "telegram_token").write_text(" \n", encoding="utf-8")
    assert read(folder, {"telegram_token": "1:file"}).telegram_token().reveal() == "1:file"


def test_a_credential_that_cannot_be_read_is_a_problem(folder: Path) -> None:
    """Not silently the file's token: that one may be the wrong one."""
    (folder / "telegram_token").mkdir()
    with pytest.raises(SettingsError, match=r"credential telegram_token: it cannot be read"):
        read(folder, {"telegram_token": "1:file"})
    (folder / "telegram_token").rmdir()
    (folder / "telegram_token").write_bytes(b"\xff")
    with pytest.raises(SettingsError, match="it is no text"):
        read(folder, {})
