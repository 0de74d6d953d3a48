"""What the numbers were taken on: a figure without it cannot be compared with another."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from galaxy_adapters._files import filesystem_kind


def folder() -> Path:
    """Where the benchmarks write: TMPDIR decides on which disk."""
    return Path(tempfile.gettempdir())


def describe() -> dict[str, str]:
    """The machine, in words."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": str(os.cpu_count()),
        "load": load,
        "file system": filesystem_kind(folder()) or "unknown",
        "free": f"{shutil.disk_usage(folder()).free / 2**30:.0f} GiB",
    }
