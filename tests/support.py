"""What the tests of several folders share."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PROJECT_ROOT = Path(__file__).parent.parent
BROWSER = PROJECT_ROOT / "tests" / "browser"
"""Where `make browser` installs what the page's tests need."""


def require_or_skip(reason: str) -> NoReturn:
    """End the test for want of a program or server: skipped on a laptop, failed where CI is set.

    A skip that nobody sees is how a suite stops testing, so CI, which installs everything, may not
    skip.
    """
    if os.environ.get("CI"):  # noqa: TID251  the tests' own switch, nothing of the product's
        pytest.fail(f"{reason} (skipping is not allowed where CI is set)")
    pytest.skip(reason)


def every(default: int) -> int:
    """Every how many points of a sweep are tried: all of them where GALAXY_EVERY is 1."""
    return int(os.environ.get("GALAXY_EVERY", default))  # noqa: TID251 - of tests, not of the product


def opencode_binary() -> Path:
    """Find the real opencode: GALAXY_OPENCODE_BIN, else what `make setup` installed."""
    named = os.environ.get("GALAXY_OPENCODE_BIN")  # noqa: TID251  which agent to test against
    if named:
        found = shutil.which(named)
        if found is None:
            pytest.fail(f"GALAXY_OPENCODE_BIN names {named!r}, which cannot be run")
        return Path(found)
    installed = subprocess.run(
        [PROJECT_ROOT / "scripts" / "opencode-bin"], capture_output=True, text=True, check=False
    )
    if installed.returncode != 0:
        require_or_skip(installed.stderr.strip())
    return Path(installed.stdout.strip())


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start a Chromium that pages can be opened in."""
    if importlib.util.find_spec("playwright") is None:
        require_or_skip("Playwright is not installed: run `make setup`")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  it may be missing

    launch = _chromium_launch()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(**launch)
        yield started
        started.close()


def _chromium_launch() -> dict[str, Any]:
    """Say how Playwright starts the browser: the named, the unpacked or an installed one.

    Where the tests run as root, as in many containers, Chromium has no sandbox of its own.
    """
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    named = os.environ.get("GALAXY_CHROMIUM_BIN")  # noqa: TID251  which browser to test with
    if named:
        found = shutil.which(named)
        if found is None:
            pytest.fail(f"GALAXY_CHROMIUM_BIN names {named!r}, which cannot be run")
        return {"executable_path": found, "args": arguments}
    unpacked = BROWSER / "chromium"
    if (unpacked / "chromium").is_file():
        environment = dict(os.environ)  # noqa: TID251  the browser's, with more in it
        environment["LD_LIBRARY_PATH"] = str(unpacked / "lib")
        if not Path("/etc/fonts/fonts.conf").is_file():
            environment["FONTCONFIG_PATH"] = str(unpacked)
        return {
            "executable_path": unpacked / "chromium",
            "args": arguments,
            "env": environment,
        }
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (found := shutil.which(name)) is not None:
            return {"executable_path": found, "args": arguments}
    require_or_skip("There is no Chromium: run `make browser`, or set GALAXY_CHROMIUM_BIN")


def axe_script() -> str:
    """Give the source of axe-core, which looks for what keeps people out of a page."""
    path = BROWSER / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        require_or_skip("axe-core is not installed: run `make browser`")
    return path.read_text(encoding="utf-8")
