"""Pytest fixtures around opencode, real and scripted.

A test module opts in with `pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]`.
A machine without opencode skips the tests that need it, visibly; where CI is set it fails.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.scripted_llm import ScriptedModelServer, running_model

_ENVIRONMENT = os.environ  # noqa: TID251 - tests choose the program and the machine's PATH by it


def find_opencode(folder: Path, environment: dict[str, str]) -> Path | None:
    """The real opencode: GALAXY_OPENCODE_BIN, `node_modules` in `folder` or above, PATH."""
    if named := environment.get("GALAXY_OPENCODE_BIN"):
        return Path(named)
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    package = f"opencode-{platform.system().lower()}-{machine}"
    for place in (folder, *folder.parents):
        installed = place / "node_modules" / package / "bin" / "opencode"
        if installed.exists():
            return installed
    on_path = shutil.which("opencode", path=environment.get("PATH"))
    return Path(on_path) if on_path else None


@pytest.fixture(scope="session")
def opencode_binary(request: pytest.FixtureRequest) -> Path:
    """Path of the real opencode."""
    found = find_opencode(request.config.rootpath, dict(_ENVIRONMENT))
    if found is None:
        reason = "opencode is not installed (npm ci, or set GALAXY_OPENCODE_BIN)"
        if _ENVIRONMENT.get("CI"):
            pytest.fail(f"{reason}; skipping is not allowed where CI is set")
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def scripted_model() -> Iterator[ScriptedModelServer]:
    """The scripted model; count prompts that are unique to the test."""
    with running_model() as server:
        yield server


@pytest.fixture(scope="session")
def opencode_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for opencode with a home of its own, shared by the tests of a run."""
    return private_environment(tmp_path_factory.mktemp("opencode-home"), dict(_ENVIRONMENT))


@pytest.fixture
def opencode_project(tmp_path: Path, scripted_model: ScriptedModelServer) -> Path:
    """A project folder whose only model is the scripted one."""
    return write_opencode_project(tmp_path / "project", scripted_model.url)
