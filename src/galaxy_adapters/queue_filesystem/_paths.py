"""Names of the files that say where an order stands.

    orders/N.json                       waits
    orders/N.json.processing            a worker holds it (a second name of the held file)
    queue_state/held/<lane>/<token>~N.json   the held file itself; renaming it is the lease
    queue_state/ids/<order id>          -> "<digest>~N.json": whose id this is
    queue_state/notes/N.json            attempts and delay of an order that was given back
    queue_state/dead/<order id>         it is about to end as given up, or has
    queue_state/dismissed/<order id>    it was given up, and a person needs it no more
    archive/<order id>.json             it ended

The full table, with what every crash leaves behind, is docs/adr/0002-file-queue.md.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from attrs import frozen

from galaxy_adapters.queue_filesystem._trust import Trust
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.wire.layout import Layout

ENDING = ".json"
HELD_ENDING = ".processing"
SEPARATOR = "~"
_SIDE_MARK = "-"
"""First character of a lane that holds one order outside of its conversation's turn."""

_PROBE = "@"

MAX_NAME_BYTES = 200
"""Longest order file name in bytes that is worked with: the held file's name is a token longer,
and a file name has at most 255."""


def is_order_name(name: str) -> bool:
    """Whether a file of this name in the orders' folder is meant as an order."""
    return name.endswith(ENDING) and not name.startswith(".")


def stem_of(name: str) -> str:
    """The file's name without `.json`."""
    return name[: -len(ENDING)]


def lane_key(conversation: ConversationKey) -> str:
    """The folder that stands for a conversation while one of its orders is held."""
    return hashlib.sha256(conversation.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def side_lane(token: str, lane: str = "") -> str:
    """The folder for an order that is held beside `lane`'s turn; empty when that is not known."""
    return f"{_SIDE_MARK}{lane}{SEPARATOR}{token}"


def lane_kept_by(folder: str) -> str | None:
    """The lane that stands still while the folder of this name is there; None when none does."""
    if not folder.startswith(_SIDE_MARK):
        return folder
    return folder[1:].partition(SEPARATOR)[0] or None


@frozen
class Ball:
    """The held file, taken apart: who has the ball may run with it."""

    lane: str
    token: str
    name: str

    @property
    def worker(self) -> str:
        """The worker that the token belongs to."""
        return self.token.partition(SEPARATOR)[0]

    @property
    def file_name(self) -> str:
        """The name within the lane's folder."""
        return f"{self.token}{SEPARATOR}{self.name}"

    @classmethod
    def parse(cls, lane: str, file_name: str) -> Ball | None:
        """Read a name in a lane's folder; None for one that nobody of us has made."""
        parts = file_name.split(SEPARATOR, 2)
        if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - worker, number, order's file
            return None
        return cls(lane, f"{parts[0]}{SEPARATOR}{parts[1]}", parts[2])


class QueuePaths:
    """The queue's folders as strings: joined thousands of times a second."""

    def __init__(self, layout: Layout, trust: Trust | None = None) -> None:
        state = os.fspath(layout.queue_state)
        self.trust = trust
        self.layout = layout
        self.orders = os.fspath(layout.orders)
        self.archive = os.fspath(layout.archive)
        self.corrupted = os.fspath(layout.corrupted)
        self.scratch = f"{state}/scratch"
        self.held = f"{state}/held"
        self.workers = f"{state}/workers"
        self.notes = f"{state}/notes"
        self.ids = f"{state}/ids"
        self.keys = f"{state}/keys"
        self.successors = f"{state}/successors"
        self.dead = f"{state}/dead"
        self.dismissed = f"{state}/dismissed"
        self.scratch_folder = Path(self.scratch)
        # The layout's answer with the id cut out: asking it each time would cost more than
        # the system call that follows.
        self._response = os.fspath(layout.response(_PROBE)).rpartition(_PROBE)

    def folders(self) -> tuple[Path, ...]:
        """Every folder that must be there, on one file system."""
        ours = (self.scratch, self.held, self.workers, self.notes, self.ids, self.keys)
        return tuple(Path(p) for p in (self.orders, self.archive, self.corrupted, *ours))

    def order(self, name: str) -> str:
        """A waiting order."""
        return f"{self.orders}/{name}"

    def shown(self, name: str) -> str:
        """The second name of a held order, for people."""
        return f"{self.orders}/{name}{HELD_ENDING}"

    def lane(self, key: str) -> str:
        """A lane's folder."""
        return f"{self.held}/{key}"

    def ball(self, ball: Ball) -> str:
        """A held order."""
        return f"{self.held}/{ball.lane}/{ball.token}{SEPARATOR}{ball.name}"

    def note(self, name: str) -> str:
        """What is remembered of an order that was given back."""
        return f"{self.notes}/{name}"

    def owner(self, order_id: str) -> str:
        """The link that says which file an id belongs to."""
        return f"{self.ids}/{order_id}"

    def archived(self, order_id: str) -> str:
        """An order that ended."""
        return f"{self.archive}/{order_id}{ENDING}"

    def response(self, order_id: str) -> str:
        """The response to an order."""
        return f"{self._response[0]}{order_id}{self._response[2]}"

    def journal(self, order_id: str) -> str:
        """What was written down about the attempts at an order."""
        return os.fspath(self.layout.run_journal(order_id))

    def successor(self, order_id: str) -> str:
        """The link to the id of the order that was enqueued in an ended one's place."""
        return f"{self.successors}/{order_id}"

    def key(self, idempotency_key: str) -> str:
        """The file that remembers which order came with a key."""
        digest = hashlib.sha256(idempotency_key.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.keys}/{digest[:40]}"
