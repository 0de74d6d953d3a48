"""The environment that an opencode process gets."""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path

_OWN_SECRET = re.compile(r"GALAXY_.*(TOKEN|PASSWORD|SECRET|KEY).*")
"""Galaxy's own secrets: the agent has no use for them, and its shell shows them to the model."""

_SERVERS = frozenset({"OPENCODE_SERVER_PASSWORD", "OPENCODE_SERVER_USERNAME"})
"""Key to a server of somebody else: set anew where it is meant."""

_OF_OUR_UNIT = frozenset(
    {"CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)
"""What systemd tells a service about itself: not the agent's affair, its secrets least of all."""


def is_same_folder(one: str, other: str) -> bool:
    """Whether two paths lead to one folder; opencode calls it by its real name, without links."""
    return one == other or os.path.realpath(one) == os.path.realpath(other)


def child_environment(
    environment: Mapping[str, str], *, directory: Path, additions: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Make an opencode's environment out of ours: without Galaxy's secrets, with `PWD` right.

    Providers' keys stay: opencode needs them, and its shell sees them; who does not want that
    gives them to opencode with `opencode auth login` instead of in the environment.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not _OWN_SECRET.fullmatch(name) and name not in _SERVERS | _OF_OUR_UNIT
    }
    kept["OPENCODE_DISABLE_AUTOUPDATE"] = "1"
    # opencode takes its project from PWD, not from the working directory (1.18): with ours left in
    # it, it would read another project's configuration.
    kept["PWD"] = str(directory)
    kept.pop("OLDPWD", None)
    return kept | dict(additions or {})
