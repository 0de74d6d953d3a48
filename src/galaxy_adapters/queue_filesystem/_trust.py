"""Whose files are orders: anybody who can put a file into the folder could have the agent obey.

Looked at where a file is read, on the opened file itself, so that nothing can be put in its place
between the look and the reading.
"""

from __future__ import annotations

import os
import stat as stat_modes
from datetime import datetime
from pathlib import Path

from attrs import field, frozen

from galaxy_adapters._files import storage_errors
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.incident import Incident, IncidentSeverity

ROOT = 0


@frozen
class Trust:
    """Who may hand in orders by dropping files."""

    group: int | None = None
    """Number of the group whose members may; None: nobody but this user and root."""
    user: int = field(factory=os.geteuid)
    """The user that we run as."""

    def why_not(self, found: os.stat_result) -> str | None:
        """Why a file is not taken as an order, as a sentence with its remedy; None: it is."""
        if found.st_mode & stat_modes.S_IWOTH:
            return (
                "Every user of this machine may change its file, so nobody knows whose order it"
                " is: write it with `umask 077`, or `chmod o-w`."
            )
        if found.st_uid in {self.user, ROOT}:
            return None
        if self.group is not None and found.st_gid == self.group:
            return None
        return (
            f"Its file belongs to another user of this machine (number {found.st_uid}): orders are"
            f" taken from files of the user that Hermes runs as (number {self.user}), of root, and"
            " of the group that `security.order_group` names."
        )


def close_to_strangers(folder: Path) -> bool:
    """Take everybody's right to write from the orders' folder; whether they had it.

    Raises `StorageUnavailable` when they have it, and it is not ours to take.
    """
    with storage_errors("look at", folder):
        mode = folder.stat().st_mode
    if not mode & stat_modes.S_IWOTH:
        return False
    try:
        folder.chmod(stat_modes.S_IMODE(mode) & ~stat_modes.S_IWOTH)
    except PermissionError as error:
        raise StorageUnavailable(
            f"Every user of this machine may write into {folder}, and so give orders: have its"
            f" owner run `chmod o-w {folder}`."
        ) from error
    return True


def folder_was_open(folder: Path, now: datetime) -> Incident:
    """What people are told after `close_to_strangers`: somebody may have used it before."""
    return Incident(
        kind="orders_folder_closed",
        message=f"Every user of this machine could write into {folder}, and so give orders; this"
        " was ended (`chmod o-w`). Files of other users are refused.",
        key=f"orders-folder-closed:{now.isoformat()}",
        severity=IncidentSeverity.WARNING,
        is_for_people=True,
    )
