"""What is remembered of an order while it waits for its next attempt."""

from __future__ import annotations

import contextlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from attrs import frozen

from galaxy_adapters._files import storage_errors, write_durably
from galaxy_adapters.queue_filesystem._paths import QueuePaths


@frozen(kw_only=True)
class Note:
    """Written when an order is given back; it belongs to the content with this digest only."""

    digest: str
    attempts: int
    """Claims that count, also those whose worker died."""
    failures: int = 0
    """Those among them that failed and were given back by their worker."""
    given_back_at: datetime
    delay: timedelta = timedelta(0)
    reason: str = ""
    order_id: str | None = None
    """Its id, when that is not the one that its file says."""

    def remaining(self, now: datetime) -> timedelta:
        """How long the order still has to wait; a clock set back does not make that longer."""
        return min(self.delay, self.given_back_at + self.delay - now)


def read_note(paths: QueuePaths, name: str) -> Note | None:
    """The note to the order file `name`; None when there is none, or none that can be read."""
    try:
        fd = os.open(paths.note(name), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        with os.fdopen(fd, "rb") as file:
            kept = json.loads(file.read())
        return Note(
            digest=str(kept["digest"]),
            attempts=int(kept["attempts"]),
            # Notes of earlier versions do not tell the two apart.
            failures=int(kept.get("failures", kept["attempts"])),
            given_back_at=datetime.fromisoformat(kept["given_back_at"]),
            delay=timedelta(seconds=float(kept["delay_s"])),
            reason=str(kept["reason"]),
            order_id=kept["order_id"],
        )
    except (ValueError, KeyError, TypeError):
        return None  # torn by a power cut: as if it had never been written


def write_note(paths: QueuePaths, name: str, note: Note) -> None:
    """Remember it, durably.  Raises `StorageUnavailable`."""
    kept = {
        "digest": note.digest,
        "attempts": note.attempts,
        "failures": note.failures,
        "given_back_at": note.given_back_at.isoformat(),
        "delay_s": note.delay.total_seconds(),
        "reason": note.reason,
        "order_id": note.order_id,
    }
    data = json.dumps(kept).encode()
    write_durably(Path(paths.note(name)), data, scratch=paths.scratch_folder)


def drop_note(paths: QueuePaths, name: str) -> None:
    """Forget it.  Safe twice."""
    with contextlib.suppress(FileNotFoundError), storage_errors("remove", paths.note(name)):
        try:
            os.unlink(paths.note(name))
        except FileNotFoundError:
            return
