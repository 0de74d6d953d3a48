"""What the tests of several folders share."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest

PROJECT_ROOT = Path(__file__).parent.parent


def require_or_skip(reason: str) -> NoReturn:
    """End the test for want of a program or server: skipped on a laptop, failed where CI is set.

    A skip that nobody sees is how a suite stops testing, so CI, which installs everything, may not
    skip.
    """
    if os.environ.get("CI"):  # noqa: TID251  the tests' own switch, nothing of the product's
        pytest.fail(f"{reason} (skipping is not allowed where CI is set)")
    pytest.skip(reason)


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
