"""Files that are no orders: moved aside with a reason, never deleted, never tried again.

The reason is written first and reserves the name; a process that dies before the move leaves a
reason without its file, and the file is moved under the next name later.  A reason is
write-protected once it is on record: who dies before has it told by the next worker.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

from attrs import define, evolve

from galaxy_adapters._files import (
    create_durably,
    read_plain_file,
    rename_exclusively,
    storage_errors,
)
from galaxy_adapters.queue_filesystem._paths import ENDING, MAX_NAME_BYTES, QueuePaths, stem_of
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import numbered, safe_order_id
from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.ports.incident_sink import IncidentSink

_REASON_ENDING = ".reason"
_LARGEST_REASON = 1 << 16
RETOLD_FOR = timedelta(days=1)
"""What nobody has put on record for so long is no news any more."""
_TOLD, _UNTOLD_BIT = 0o400, 0o200


@define(eq=False)
class Aside:
    """Moves files to `corrupted/` and tells people."""

    paths: QueuePaths
    incidents: IncidentSink

    def put(self, path: str, name: str, reason: str, *, repeats: str | None = None) -> bool:
        """Move `path`, dropped in as `name`, aside; False when it is gone.

        `repeats` is the id of the order that it is a second copy of.  Blocks for disk syncs.
        Raises `StorageUnavailable`.
        """
        for target in _names(name):
            place = Path(self.paths.corrupted, target)
            note = Path(self.paths.corrupted, target + _REASON_ENDING)
            if not create_durably(note, reason.encode() + b"\n", scratch=self.paths.scratch_folder):
                continue
            with storage_errors("move aside", path):
                try:
                    is_moved = rename_exclusively(path, os.fspath(place))
                except FileNotFoundError:
                    os.unlink(note)
                    return False
                except OSError:
                    with contextlib.suppress(OSError):
                        os.unlink(note)
                    raise
                if not is_moved:
                    os.unlink(note)
                    continue
            self._tell(note, target, reason, repeats)
            return True
        raise AssertionError("names never run out")

    def retell(self) -> None:
        """Report what was set aside lately and is not on record: its worker died first."""
        oldest = time.time() - RETOLD_FOR.total_seconds()
        with contextlib.suppress(FileNotFoundError), os.scandir(self.paths.corrupted) as entries:
            for entry in entries:
                target = entry.name.removesuffix(_REASON_ENDING)
                with contextlib.suppress(OSError, UnreadableFile, UnicodeDecodeError):
                    if target == entry.name or not _is_news(entry, oldest):
                        continue
                    if os.path.lexists(os.path.join(self.paths.corrupted, target)):
                        note = Path(entry.path)
                        reason = read_plain_file(note, limit=_LARGEST_REASON)[0].decode().strip()
                        self._tell(note, target, reason, _repeated(reason))

    def _tell(self, note: Path, target: str, reason: str, repeats: str | None) -> None:
        incident = _incident(target, reason, repeats)
        self.incidents.report(evolve(incident, on_told=partial(_mark_told, note)))


def _is_news(note: os.DirEntry[str], oldest: float) -> bool:
    stat = note.stat(follow_symlinks=False)
    return stat.st_mtime >= oldest and bool(stat.st_mode & _UNTOLD_BIT)


def _mark_told(note: Path) -> None:
    with contextlib.suppress(OSError):  # it is told once more then
        note.chmod(_TOLD)


def repeat_reason(order_id: str) -> str:
    """Why a second copy of an order is set aside."""
    return f"It is the same order as {order_id}, with the same content: it is not run again."


def _repeated(reason: str) -> str | None:
    """The id in a reason made by `repeat_reason`."""
    begin, _, end = repeat_reason("\0").partition("\0")
    if reason.startswith(begin) and reason.endswith(end):
        return reason[len(begin) : -len(end)]
    return None


def _incident(target: str, reason: str, repeats: str | None) -> Incident:
    shown = target if target.isprintable() else ascii(target)
    place = f"galaxy-orders-corrupted/{shown}"
    if repeats is not None:
        return Incident(
            kind="order_duplicate",
            message=f"A second copy of order {repeats} was set aside as {place}; it is not run.",
            key=f"aside:{shown}",
            severity=IncidentSeverity.INFO,
            order_id=repeats,
            data={"file": shown},
        )
    return Incident(
        kind="order_quarantined",
        message=f"An order file could not be taken and was set aside as {place}: {reason}",
        key=f"aside:{shown}",
        severity=IncidentSeverity.ERROR,
        is_for_people=True,
        data={"file": shown, "reason": reason},
    )


def _names(name: str) -> Iterator[str]:
    stem = stem_of(name)
    if len(os.fsencode(name)) > MAX_NAME_BYTES:
        stem = safe_order_id(stem)
    yield stem + ENDING
    for number in itertools.count(2):
        yield numbered(stem, number) + ENDING
