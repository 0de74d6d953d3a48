"""The project and environment in which tests run opencode."""

import json
import platform
from pathlib import Path

from galaxy_core.testing.fixtures_opencode import find_opencode
from galaxy_core.testing.opencode_project import (
    MODEL,
    PROVIDER,
    private_environment,
    write_opencode_project,
)


def test_only_the_scripted_provider_is_enabled(tmp_path: Path) -> None:
    """A test must never reach a hosted model, also not a free one."""
    folder = write_opencode_project(tmp_path / "new" / "project", "http://127.0.0.1:1/v1")
    config = json.loads((folder / "opencode.json").read_text())
    assert config["enabled_providers"] == [PROVIDER]
    assert (config["model"], config["small_model"]) == (MODEL, MODEL)
    assert config["provider"][PROVIDER]["options"]["baseURL"] == "http://127.0.0.1:1/v1"
    assert "permission" not in config


def test_permission_rules_are_written(tmp_path: Path) -> None:
    """Asks belong into the project's config: rules of a session are not inherited."""
    folder = write_opencode_project(tmp_path, "http://x/v1", permission={"bash": "ask"})
    assert json.loads((folder / "opencode.json").read_text())["permission"] == {"bash": "ask"}


def test_environment_leads_nowhere_else(tmp_path: Path) -> None:
    """Neither the person's own opencode nor the parent's folder shines through."""
    parent = {"PATH": "/bin", "PWD": "/elsewhere", "OPENCODE_CONFIG": "x", "XDG_DATA_HOME": "/y"}
    found = private_environment(tmp_path, parent)
    assert found["PATH"] == "/bin"
    assert "PWD" not in found
    assert "OPENCODE_CONFIG" not in found
    assert Path(found["XDG_DATA_HOME"]).is_relative_to(tmp_path)


def test_named_binary_goes_first(tmp_path: Path) -> None:
    """GALAXY_OPENCODE_BIN beats what is installed."""
    environment = {"GALAXY_OPENCODE_BIN": "/opt/opencode", "PATH": ""}
    assert find_opencode(tmp_path, environment) == Path("/opt/opencode")


def test_binary_of_the_project_goes_before_the_path(tmp_path: Path) -> None:
    """What `npm ci` installed above the folder is found without any setting."""
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = platform.system().lower()
    binary = tmp_path / "node_modules" / f"opencode-{system}-{machine}" / "bin" / "opencode"
    binary.parent.mkdir(parents=True)
    binary.touch()
    assert find_opencode(tmp_path / "below", {"PATH": ""}) == binary
    binary.unlink()
    assert find_opencode(tmp_path / "below", {"PATH": ""}) is None
