"""Which id an order has: decided once, when it is claimed, and the same again after any crash.

The decision is a link `ids/<order id>` -> `<digest>~<change time>~<file name>`, made exclusively
before anything is written under the id, and removed when the order is in the archive, which says
from then on whose the id is.  A power cut may undo it; a plain id is found again by the same
rules then, a numbered one is synced.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable

from attrs import define, field, frozen

from galaxy_adapters.queue_filesystem._archive import Archive, Source
from galaxy_adapters.queue_filesystem._paths import SEPARATOR, QueuePaths
from galaxy_adapters.queue_filesystem._reader import Found
from galaxy_core.domain.ids import OrderId, numbered

_DIGEST_CHARACTERS = 20


@frozen
class Owner:
    """The file that an id belongs to."""

    digest: str
    modified_ns: str
    name: str

    @classmethod
    def of(cls, name: str, found: Found) -> Owner:
        """The owner that this file would be."""
        return cls(found.digest[:_DIGEST_CHARACTERS], str(found.stamp[0]), name)

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read a link's target."""
        parts = text.split(SEPARATOR, 2)
        return cls(*parts) if len(parts) == 3 else None  # noqa: PLR2004 - the three of above

    def text(self) -> str:
        """The link's target."""
        return SEPARATOR.join((self.digest, self.modified_ns, self.name))


@frozen
class Repeat:
    """The same order as one that is known already."""

    order_id: OrderId
    is_leftover: bool
    """Whether it is the very file that was archived: a crash kept it from being removed."""


@define
class _Past:
    """What is known of the archived orders that asked for one id: read once."""

    count: int = 0
    by_digest: dict[str, tuple[OrderId, Source]] = field(factory=dict)


@define(eq=False)
class Identity:
    """Decides whose an id is."""

    paths: QueuePaths
    archive: Archive
    _past: dict[OrderId, _Past] = field(factory=dict, init=False)

    def settle(
        self,
        name: str,
        found: Found,
        wanted: OrderId,
        *,
        is_elsewhere: Callable[[str], bool],
        is_rival: Callable[[OrderId], bool],
    ) -> OrderId | Repeat:
        """Decide under which id the held file `name` runs.

        `is_elsewhere(name)` asks whether a file of that name waits, or is held by somebody else
        than the caller; `is_rival(order_id)` whether a waiting file has a better claim to an id.
        Whether a numbered id survives a power cut is up to the caller: sync `ids/`.
        Raises `OSError`.
        """
        case = _Case(found, wanted, Source.of(name, found), Owner.of(name, found), is_elsewhere)
        past = self._past.get(wanted, _NO_PAST)
        known = past.by_digest.get(found.digest)
        if known is not None and (found.has_own_id or known[1] == case.source):
            return Repeat(known[0], is_leftover=known[1] == case.source)
        for number in itertools.count(past.count + 1):
            candidate = _nth(wanted, number)
            if is_rival(candidate) and self.owner(candidate) != case.owner:
                continue
            answer = self._try(candidate, case)
            if isinstance(answer, Repeat):
                return answer
            if answer:
                return candidate
        raise AssertionError("numbers never run out")

    def release(self, order_id: OrderId) -> None:
        """The order is in the archive (or set aside): the link has done its work."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.paths.owner(order_id))

    def move(self, found: Found, old: str, new: str) -> OrderId:
        """The file `old` is going to be `new`: its id, which moves with it.

        Raises `OSError`.
        """
        order_id = self.find(found, old)
        if order_id is None:
            return found.order.id
        after = Owner.of(new, found)
        link = f"{self.paths.scratch}/.tmp-{after.digest}-{os.getpid()}"
        os.symlink(after.text(), link)
        os.rename(link, self.paths.owner(order_id))
        return order_id

    def find(self, found: Found, name: str) -> OrderId | None:
        """The id under which the file was claimed before; None when it never was."""
        mine = Owner.of(name, found)
        ids = (i for i in os.listdir(self.paths.ids) if self.owner(i) == mine)
        return next(map(OrderId, ids), None)

    def owner(self, order_id: str) -> Owner | None:
        """The file that claimed the id; None when none did, or it has ended."""
        try:
            return Owner.parse(os.readlink(self.paths.owner(order_id)))
        except OSError:  # no such link, or no link
            return None

    def sweep(self, alive: Callable[[], frozenset[str]]) -> None:
        """Release the ids of files that a person has removed, or that were set aside.

        `alive()` gives the names of all files that wait or are held.  Raises `OSError`.
        """
        owners = {order_id: self.owner(order_id) for order_id in os.listdir(self.paths.ids)}
        # Looked for after the links: a file that comes in between has no link among these.
        names = alive() if owners else frozenset()
        for order_id, owner in owners.items():
            if owner is not None and owner.name not in names and self.owner(order_id) == owner:
                self.release(OrderId(order_id))

    def is_taken(self, order_id: OrderId, name: str, modified_ns: int) -> bool:
        """Whether the id belongs to another order than the one in this file."""
        owner = self.owner(order_id)
        if owner is not None:
            return (owner.name, owner.modified_ns) != (name, str(modified_ns))
        return self.archive.has(order_id)

    def _try(self, candidate: OrderId, case: _Case) -> bool | Repeat:
        """Whether the id is ours now."""
        is_new = True
        owner = case.owner
        try:
            os.symlink(owner.text(), self.paths.owner(candidate))
        except FileExistsError:
            is_new = False
            owner = self.owner(candidate) or _NOBODY
        if self.archive.has(candidate):
            if owner == case.owner:
                self.release(candidate)
            return self._compare(candidate, case)
        if is_new:
            # A response that no journal accounts for is an older order's.
            if os.path.lexists(self.paths.response(candidate)) and not os.path.lexists(
                self.paths.journal(candidate)
            ):
                self.release(candidate)
                return False
            return True
        is_alive = case.is_elsewhere(owner.name)
        if owner == case.owner and not is_alive:
            return True
        if is_alive and owner.digest == case.owner.digest and case.found.has_own_id:
            return Repeat(candidate, is_leftover=False)
        return False

    def _compare(self, candidate: OrderId, case: _Case) -> bool | Repeat:
        """Whether we are the order of the archive; never True."""
        archived = self.archive.read(candidate)
        if archived is not None:
            if archived.source == case.source:
                return Repeat(candidate, is_leftover=True)
            if case.found.has_own_id and archived.is_of(case.found):
                return Repeat(candidate, is_leftover=False)
        past = self._past.setdefault(case.wanted, _Past())
        if archived is not None and archived.source is not None:
            past.by_digest[archived.source.digest] = (candidate, archived.source)
        # Ids used up in a row are not asked for again: a chat may have used one for years.
        if candidate == _nth(case.wanted, past.count + 1):
            past.count += 1
        return False


@frozen
class _Case:
    """One file whose id is sought."""

    found: Found
    wanted: OrderId
    source: Source
    owner: Owner
    is_elsewhere: Callable[[str], bool]


_NO_PAST = _Past()
_NOBODY = Owner("", "", "")


def _nth(wanted: OrderId, number: int) -> OrderId:
    return wanted if number == 1 else numbered(wanted, number)
