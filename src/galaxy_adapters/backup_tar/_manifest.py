"""`manifest.json`, the last member: what the copy must hold, to the byte."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from attrs import asdict, define, field, frozen

from galaxy_core.domain.backup import FORMAT, BackupReport
from galaxy_core.domain.errors import PermanentError

NAME = "manifest.json"
ROOT = "folder/"
"""Before the names of all other members."""
LARGEST = 1 << 30
_TOPS = (".sisyphus", ".galaxy", "logs")


class BackupUnusable(PermanentError):
    """A copy that cannot be used, or may not be used here."""


@frozen
class Entry:
    """One file or link."""

    size: int
    sha256: str
    modified_ns: int
    mode: int
    target: str | None = None
    """Where a link leads."""


@define
class Manifest:
    """All of them by path, and what is to be known of the whole."""

    version: str
    made_at: str
    has_secrets: bool
    trail_head: str | None = None
    trail_lines: int = 0
    entries: dict[str, Entry] = field(factory=dict)

    def to_bytes(self) -> bytes:
        """Its form in the copy."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read it back.  Raises `BackupUnusable`."""
        try:
            raw: dict[str, Any] = json.loads(data)
            known = raw.pop("format")
            if known > FORMAT:
                raise BackupUnusable(
                    f"The copy has format {known}, this version knows {FORMAT}: use a newer one."
                )
            raw["entries"] = {path: Entry(**entry) for path, entry in raw["entries"].items()}
            return cls(**raw)
        except (ValueError, TypeError, KeyError, AttributeError):
            raise BackupUnusable("The copy's manifest cannot be read: it is damaged.") from None

    def report(self) -> BackupReport:
        """The whole for people."""
        return BackupReport(
            files=len(self.entries),
            size=sum(entry.size for entry in self.entries.values()),
            trail_head=self.trail_head,
            trail_lines=self.trail_lines,
            has_secrets=self.has_secrets,
            version=self.version,
            made_at=self.made_at,
        )


def check_path(path: str) -> None:
    """A copy may only hold what belongs to us.  Raises `BackupUnusable`."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or parts[0] not in _TOPS or str(PurePosixPath(path)) != path:
        raise BackupUnusable(f"The copy holds {path[:200]!r}, which has no place in the folder.")
