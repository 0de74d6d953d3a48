"""What is shipped, what is locked, and the shape of the code."""

import configparser
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import PROJECT_ROOT

LOCKS = ("runtime", "dev", "bench")

# What every layer, or every layer above ports and wire, may import; all else has one owner.
UNOWNED = {"anyio", "attrs", "cattrs", "structlog"}

# Distributions whose module has another name.
OTHER_MODULES = {"markdown-it-py": "markdown-it", "python-telegram-bot": "telegram"}

PINNED_OPENCODE = "1.18.33"


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _npm_lock() -> dict[str, Any]:
    lock: dict[str, Any] = json.loads(
        (PROJECT_ROOT / "package-lock.json").read_text(encoding="utf-8")
    )
    return lock


def _locked(name: str) -> dict[str, list[str]]:
    """Read a lock: `name==version` to its hashes."""
    text = (PROJECT_ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
    entries: dict[str, list[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            entries[line.split()[0]] = re.findall(r"--hash=sha256:([0-9a-f]{64})\b", line)
    return entries


def _distributions(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(name: str) -> None:
    """pip installs with --require-hashes: one entry without would stop every installation."""
    entries = _locked(name)
    assert entries
    for entry, hashes in entries.items():
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.+]*", entry), entry
        assert hashes, f"{entry} in {name}.lock has no hash"


@pytest.mark.parametrize(
    "path", [*(f"requirements/{name}.lock" for name in LOCKS), "package-lock.json", ".npmrc"]
)
def test_locks_name_no_address(path: str) -> None:
    """Where packages come from is the machine's affair: a mirror must do."""
    text = (PROJECT_ROOT / path).read_text(encoding="utf-8")
    assert "://" not in text
    assert "index-url" not in text
    assert "find-links" not in text
    assert '"resolved"' not in text


def test_runtime_lock_holds_every_declared_dependency() -> None:
    """A dependency added to pyproject.toml without `make lock` would not be installed."""
    project = _pyproject()["project"]
    names = {entry.split("==")[0] for entry in _locked("runtime")}
    assert _distributions(project["dependencies"]) <= names
    for extra in ("telegram", "web", "webhook"):
        assert _distributions(project["optional-dependencies"][extra]) <= names


def test_dev_lock_holds_everything_that_make_installs() -> None:
    """The development environment is the runtime lock, version for version, and the tools."""
    project = _pyproject()
    dev = _locked("dev")
    assert set(_locked("runtime")) <= set(dev)
    names = {entry.split("==")[0] for entry in dev}
    assert _distributions(project["dependency-groups"]["dev"]) <= names
    assert _distributions(project["project"]["optional-dependencies"]["testing"]) <= names
    assert _distributions(project["build-system"]["requires"]) <= names


def test_all_extra_names_every_other_extra() -> None:
    """`galaxy-protocol[all]` is what it says."""
    extras = _pyproject()["project"]["optional-dependencies"]
    (everything,) = (Requirement(each) for each in extras["all"])
    assert everything.name == "galaxy-protocol"
    assert everything.extras == set(extras) - {"all"}


def test_opencode_is_pinned_exactly() -> None:
    """The dispatchers are written against measured behaviour of one version."""
    package = json.loads((PROJECT_ROOT / "package.json").read_text(encoding="utf-8"))
    assert package["dependencies"] == {"opencode-ai": PINNED_OPENCODE}
    packages = _npm_lock()["packages"]
    platforms = packages["node_modules/opencode-ai"]["optionalDependencies"]
    assert "opencode-linux-x64" in platforms
    for name in ("opencode-ai", *platforms):
        assert packages[f"node_modules/{name}"]["version"] == PINNED_OPENCODE, name


@pytest.mark.parametrize(
    "name", ["opencode-ai", "opencode-linux-x64", "opencode-linux-x64-baseline"]
)
def test_opencode_on_linux_is_locked_by_hash(name: str) -> None:
    """Other platforms are pinned by version until a complete registry has written the lock."""
    entry = _npm_lock()["packages"][f"node_modules/{name}"]
    assert re.fullmatch(r"sha512-[A-Za-z0-9+/]{86}==", entry["integrity"])


def test_import_contracts_hold() -> None:
    """The layers of .importlinter: checked here too, because not everyone runs `make check`."""
    linter = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [linter, "--no-logo", "--no-cache", "--config", PROJECT_ROOT / ".importlinter"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_every_dependency_has_an_owner() -> None:
    """A new SDK is given to one folder in .importlinter, or knowingly to all."""
    contracts = configparser.ConfigParser()
    contracts.read(PROJECT_ROOT / ".importlinter", encoding="utf-8")
    owned = {
        canonicalize_name(module)
        for name in contracts.sections()
        if name.startswith("importlinter:contract:owner-")
        for module in contracts[name]["forbidden_modules"].split()
    }
    project = _pyproject()["project"]
    extras = project["optional-dependencies"]
    declared = _distributions(
        project["dependencies"]
        + [each for name, extra in extras.items() if name != "all" for each in extra]
    )
    assert owned | UNOWNED == {OTHER_MODULES.get(name, name) for name in declared}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel with the installed hatchling: no isolation, so no network."""
    folder = tmp_path_factory.mktemp("wheel")
    (artifact,) = WheelBuilder(str(PROJECT_ROOT)).build(
        directory=str(folder), versions=["standard"]
    )
    return zipfile.ZipFile(artifact)


def test_wheel_holds_the_three_packages_and_their_types(wheel: zipfile.ZipFile) -> None:
    """The contract suites ship, and type checkers see annotations in every package."""
    names = set(wheel.namelist())
    for package in ("galaxy_core", "galaxy_adapters", "galaxy_apps"):
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    assert "galaxy_core/testing/__init__.py" in names


def test_wheel_holds_the_services(wheel: zipfile.ZipFile) -> None:
    """`galaxy services install` has its files where no sources lie beside it."""
    names = set(wheel.namelist())
    for path in (PROJECT_ROOT / "services").rglob("*"):
        if path.is_file():
            inside = path.relative_to(PROJECT_ROOT / "services")
            assert f"galaxy_apps/services_data/{inside}" in names


def test_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Tests, benchmarks and caches stay at home."""
    tops = {name.split("/")[0] for name in wheel.namelist()}
    version = _pyproject()["project"]["version"]
    expected = {"galaxy_core", "galaxy_adapters", "galaxy_apps"}
    assert tops == expected | {f"galaxy_protocol-{version}.dist-info"}
    assert not [name for name in wheel.namelist() if "__pycache__" in name]


def test_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    """Licence, Python range, extras and scripts reach the metadata."""
    info = f"galaxy_protocol-{_pyproject()['project']['version']}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: <3.14,>=3.11" in metadata
    assert "Provides-Extra: testing" in metadata
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    scripts = wheel.read(f"{info}/entry_points.txt").decode()
    assert "galaxy = galaxy_apps.cli.main:main" in scripts
    assert "galaxy-hermes = galaxy_apps.hermes:main" in scripts
