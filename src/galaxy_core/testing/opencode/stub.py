"""A program called `opencode` that is the fake one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def write_stub(folder: Path) -> Path:
    """Put an executable `opencode` into `folder`; it runs with this Python and these modules."""
    folder.mkdir(parents=True, exist_ok=True)
    stub = folder / "opencode"
    # exec: the process that the caller started *is* the fake, so its id and signals are right.
    stub.write_text(
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m galaxy_core.testing.opencode "$@"\n',
        encoding="utf-8",
    )
    stub.chmod(0o755)
    return stub
