"""Which opencode is run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from galaxy_core.domain.errors import DispatcherUnavailable

INSTALL_COMMAND = "npm install -g opencode-ai"


def find_opencode(setting: str | Path | None, environment: Mapping[str, str]) -> Path:
    """Find the executable: `setting`, else on `PATH`, else where its own installer puts it.

    `setting` is a path, or a name to be looked up on `PATH`; it is never replaced by another
    opencode when it cannot be run.  Raises `DispatcherUnavailable` with what to do about it.
    """
    path = environment.get("PATH", os.defpath)
    if setting:
        named = shutil.which(Path(setting).expanduser(), path=path)
        if named is None:
            raise DispatcherUnavailable(
                f"The opencode that the settings name, {setting}, is not an executable file. "
                f"Correct the setting `opencode.bin`, or install opencode: {INSTALL_COMMAND}"
            )
        return Path(named).absolute()
    found = shutil.which("opencode", path=path)
    if found is None and (home := environment.get("HOME")):
        found = shutil.which(Path(home, ".opencode", "bin", "opencode"))
    if found is None:
        raise DispatcherUnavailable(
            f"opencode is not installed. Install it with `{INSTALL_COMMAND}`, or name it in the "
            "setting `opencode.bin` or in GALAXY_OPENCODE_BIN."
        )
    return Path(found).absolute()
