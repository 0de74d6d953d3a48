"""Which opencode is run, with which environment."""

from pathlib import Path

import pytest

from galaxy_adapters._opencode import child_environment, find_opencode, without_ansi
from galaxy_core.domain.errors import DispatcherUnavailable


def program(path: Path) -> Path:
    """Make an executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_setting_comes_before_path_before_home(tmp_path: Path) -> None:
    """What a person names is taken; then PATH; then the place of opencode's own installer."""
    named = program(tmp_path / "named" / "oc")
    on_path = program(tmp_path / "bin" / "opencode")
    installed = program(tmp_path / "home" / ".opencode" / "bin" / "opencode")
    environment = {"PATH": str(on_path.parent), "HOME": str(tmp_path / "home")}
    assert find_opencode(named, environment) == named
    assert find_opencode(None, environment) == on_path
    assert find_opencode("opencode", environment) == on_path
    assert find_opencode(None, environment | {"PATH": "/nowhere"}) == installed


def test_missing_opencode_says_how_to_install_it(tmp_path: Path) -> None:
    """The error is the next step."""
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(DispatcherUnavailable, match="npm install -g opencode-ai"):
        find_opencode(None, environment)


def test_named_opencode_is_never_replaced_by_another(tmp_path: Path) -> None:
    """A wrong setting is an error even where another opencode lies on PATH."""
    on_path = program(tmp_path / "bin" / "opencode")
    with pytest.raises(DispatcherUnavailable, match=r"typo.*opencode\.bin"):
        find_opencode(tmp_path / "typo", {"PATH": str(on_path.parent)})


def test_child_gets_no_secret_of_ours() -> None:
    """The agent's shell shows its environment to the model: Galaxy's tokens are not in it."""
    ours = {
        "GALAXY_TELEGRAM_TOKEN": "t",
        "GALAXY_OPENCODE_PASSWORD": "p",
        "GALAXY_LOG_LEVEL": "debug",
        "OPENCODE_SERVER_PASSWORD": "somebody else's",
        "ANTHROPIC_API_KEY": "needed",
        "PWD": "/elsewhere",
        "OLDPWD": "/before",
    }
    child = child_environment(ours, directory=Path("/project"), additions={"MARK": "1"})
    assert child == {
        "GALAXY_LOG_LEVEL": "debug",
        "ANTHROPIC_API_KEY": "needed",
        "PWD": "/project",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "MARK": "1",
    }


def test_terminal_sequences_are_removed() -> None:
    """Errors for people hold no colours, links or titles."""
    assert without_ansi("\x1b[1;31mError\x1b[0m: \x1b]8;;http://x\x1b\\no\x1b]0;t\x07!") == (
        "Error: no!"
    )


def test_the_agent_is_not_told_of_our_service(tmp_path: Path) -> None:
    """What systemd tells a service is not for its children, the way to its secrets least of all."""
    ours = ("CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC")
    given = dict.fromkeys(ours, "/run/x") | {"XDG_RUNTIME_DIR": "/run/user/1"}
    kept = child_environment(given, directory=tmp_path)
    assert not {*ours} & {*kept}
    assert kept["XDG_RUNTIME_DIR"] == "/run/user/1"
