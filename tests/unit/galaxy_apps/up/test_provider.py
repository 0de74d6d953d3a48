"""Whether there is a model to ask: by files and variables, else by what opencode lists."""

from pathlib import Path

import pytest

from galaxy_apps.up.provider import Provider, find_provider

PROVIDER = '{"provider": {"mine": {"models": {"m": {}}}}}'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is set up."""
    (tmp_path / "project" / ".git").mkdir(parents=True)
    return {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}


def look(tmp_path: Path, environ: dict[str, str], opencode: Path | None = None) -> Provider | None:
    """Look for work in the project."""
    return find_provider(environ, tmp_path / "project", opencode)


def fake_opencode(tmp_path: Path, script: str) -> Path:
    """A program in opencode's place."""
    path = tmp_path / "opencode"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_nothing_set_up_is_nothing(tmp_path: Path, environ: dict[str, str]) -> None:
    """Without a key, a login or a setting there is no provider."""
    assert look(tmp_path, environ) is None


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "OPENCODE_API_KEY"])
def test_a_key_in_the_environment_is_one(
    tmp_path: Path, environ: dict[str, str], name: str
) -> None:
    """opencode takes keys from variables; an empty one is none."""
    assert look(tmp_path, environ | {name: ""}) is None
    assert look(tmp_path, environ | {name: "x"}) == Provider(f"the variable {name}")


@pytest.mark.parametrize(
    "where",
    [
        "project/opencode.json",
        "project/opencode.jsonc",
        "project/.opencode/opencode.json",
        "home/.config/opencode/opencode.json",
        "home/.config/opencode/config.json",
        "elsewhere.json",
    ],
)
def test_a_setting_is_one(tmp_path: Path, environ: dict[str, str], where: str) -> None:
    """A provider in any of opencode's settings files, comments and last commas allowed."""
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{ // "no"\n "provider": {"a//b": {"x": [1, 2,],},}, /* end */ }')
    found = look(tmp_path, environ | {"OPENCODE_CONFIG": str(tmp_path / "elsewhere.json")})
    assert found == Provider(str(path))


def test_settings_above_the_repository_do_not_count(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """opencode looks upwards to the repository's root and no further."""
    (tmp_path / "opencode.json").write_text(PROVIDER)
    assert look(tmp_path, environ) is None


def test_a_login_is_one(tmp_path: Path, environ: dict[str, str]) -> None:
    """`opencode auth login` leaves a file; one without a login in it is none."""
    path = tmp_path / "data" / "opencode" / "auth.json"
    path.parent.mkdir(parents=True)
    environ["XDG_DATA_HOME"] = str(tmp_path / "data")
    path.write_text("{}")
    assert look(tmp_path, environ) is None
    path.write_text('{"anthropic": {"type": "api", "key": "x"}}')
    assert look(tmp_path, environ) == Provider(str(path))


@pytest.mark.parametrize(
    "content, is_one",
    [
        ('{"model": "opencode/big-pickle"}', True),
        ('{"model": "anthropic/claude"}', False),
        ('{"theme": "x"}', False),
        ("[]", False),
        ("{", False),
    ],
)
def test_what_settings_must_say(
    tmp_path: Path, environ: dict[str, str], content: str, *, is_one: bool
) -> None:
    """A free model that was chosen by name is meant; another's name alone brings no key."""
    environ["OPENCODE_CONFIG_CONTENT"] = content
    assert (look(tmp_path, environ) is not None) is is_one


def test_opencode_is_asked_where_nothing_is_written(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """What its own free models stand beside is a provider; those alone are none."""
    free = "echo opencode/big-pickle; echo opencode/other-free"
    assert look(tmp_path, environ, fake_opencode(tmp_path, free)) is None
    more = fake_opencode(tmp_path, f"{free}; echo amazon-bedrock/nova")
    assert look(tmp_path, environ, more) == Provider("opencode knows amazon-bedrock/nova")


@pytest.mark.parametrize("script", ["exit 1", "echo", "kill -9 $$"])
def test_an_opencode_that_does_not_say_is_tried(
    tmp_path: Path, environ: dict[str, str], script: str
) -> None:
    """Doubt never keeps a working set-up from starting."""
    found = look(tmp_path, environ, fake_opencode(tmp_path, script))
    assert found is not None
    assert not found.is_certain


def test_opencode_is_asked_in_the_project_and_offline(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """It reads the project's settings, and fetches no list of models."""
    script = 'echo "x/$(basename "$PWD")-$OPENCODE_DISABLE_MODELS_FETCH"'
    found = look(tmp_path, environ, fake_opencode(tmp_path, script))
    assert found == Provider("opencode knows x/project-1")
