"""Orders that ended: one file each, made once, by which an order is known for ever after."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve, frozen

from galaxy_adapters._files import SharedSync, create_named, read_plain_file, storage_errors
from galaxy_adapters.queue_filesystem._dead_letters import NO_ORDER, DeadLetters
from galaxy_adapters.queue_filesystem._paths import QueuePaths, is_order_name
from galaxy_adapters.queue_filesystem._reader import Found
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import JSONValue, Order
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.order import decode_archived, encode_archived

SOURCE_KEY = "source_file"
"""Member of an archived order that says which file it came from."""
_LARGEST = 64 << 20
"""Far beyond any order with its ending; whatever anybody may have put there."""


@frozen
class Source:
    """The file that an order came from."""

    name: str
    digest: str
    modified_ns: int

    @classmethod
    def of(cls, name: str, found: Found) -> Source:
        """The source that a waiting file would be."""
        return cls(name, found.digest, found.stamp[0])

    def members(self) -> dict[str, JSONValue]:
        """Its form in the archive."""
        return {"name": self.name, "sha256": self.digest, "modified_ns": self.modified_ns}


@frozen
class Archived:
    """An order of the archive, as far as it matters for knowing it again."""

    order: Order
    ending: Ending | None
    source: Source | None
    claims: int | None
    """How often it was claimed, as the queue counted."""

    def is_of(self, found: Found) -> bool:
        """Whether it has the content of a waiting file."""
        if self.source is not None and self.source.digest == found.digest:
            return True
        return evolve(self.order, refusals=()) == evolve(found.order, id=self.order.id, refusals=())


class Archive:
    """The archive's folder."""

    def __init__(self, paths: QueuePaths) -> None:
        self._paths = paths
        self._sync = SharedSync(paths.archive)
        self.dead = DeadLetters(paths, self.glance)

    def has(self, order_id: str) -> bool:
        """Whether the order has ended."""
        return os.path.lexists(self._paths.archived(order_id))

    def read(self, order_id: OrderId) -> Archived | None:
        """The order; None when there is none, or none that can be read."""
        try:
            data, _ = read_plain_file(Path(self._paths.archived(order_id)), limit=_LARGEST)
            order, ending = decode_archived(data, name=order_id)
        except (FileNotFoundError, UnreadableFile):
            return None
        kept = order.wire.get(SOURCE_KEY)
        claims = kept.get("claims") if isinstance(kept, Mapping) else None
        return Archived(order, ending, _source(kept), claims if isinstance(claims, int) else None)

    def tally(self) -> Counter[Outcome]:
        """How many orders ended how.  Reads every file, so it takes its time."""
        counts: Counter[Outcome] = Counter()
        with contextlib.suppress(FileNotFoundError):
            for name in os.listdir(self._paths.archive):
                with contextlib.suppress(*NO_ORDER):
                    if is_order_name(name):
                        counts[self.glance(name)] += 1
        return counts

    def glance(self, name: str) -> Outcome:
        """How the order in the file `name` ended, without decoding all of it.

        Raises one of `NO_ORDER` where none can be read.
        """
        data, _ = read_plain_file(Path(self._paths.archive, name), limit=_LARGEST)
        words = _OUTCOME.findall(data)
        # The last one: an order may have a member of that name further in.
        word = words[-1] if words else Outcome.SUCCEEDED.value.encode()
        return _OUTCOMES.get(word, Outcome.FAILED)

    def add(
        self, order: Order, ending: Ending, source: Source, *, claims: int, ended_ns: int
    ) -> None:
        """Archive it durably, with `ended_ns` as the file's time of change.

        The first ending of an order stands.  Raises `StorageUnavailable`.
        """
        base = dict(order.wire) or json.loads(encode_archived(order, ending))
        base[SOURCE_KEY] = {**source.members(), "claims": claims}
        data = encode_archived(order, ending, source=base)
        target = self._paths.archived(order.id)
        if ending.outcome is Outcome.DEAD:
            self.dead.note(order.id)
        create_named(target, data, scratch=self._paths.scratch, modified_ns=ended_ns)
        # Also when it was there: whoever made it may have died before it was for good.
        self._sync.sync()


def undecided_dead_letters(layout: Layout, limit: int = 50) -> list[OrderId]:
    """Ids of orders that were given up and wait for a person.  Raises `StorageUnavailable`."""
    paths = QueuePaths(layout)
    with storage_errors("read orders in", paths.archive):
        return Archive(paths).dead.undecided(limit)


_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}
_OUTCOME = re.compile(rb'"outcome":\s*"(\w+)"')


def _source(kept: JSONValue) -> Source | None:
    if not isinstance(kept, Mapping):
        return None
    name, digest, modified = kept.get("name"), kept.get("sha256"), kept.get("modified_ns")
    if isinstance(name, str) and isinstance(digest, str) and isinstance(modified, int):
        return Source(name, digest, modified)
    return None
