"""The version of this installation."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "galaxy-protocol"


def installed_version() -> str:
    """The distribution's version; `unknown` where it runs from bare sources."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
