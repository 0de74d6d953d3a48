"""Removing what is old: what may go is decided here, file by file.

An order that waits or runs stays with all that belongs to it; so does one that was given up until
somebody has it tried again, and one whose answer nobody has got yet.  The trail is told before
anything is removed: killed in the middle, a tidying leaves files that the next one takes, and
nothing is missing that the trail does not explain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import define, evolve, field

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId, safe_order_id
from galaxy_core.domain.tidying import OldKind, Pile, Remnant, Tidied, Ties
from galaxy_core.ports.note_store import ClosedKey, NoteStore
from galaxy_core.ports.old_files import OldFiles, OldRecords
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.services.trail import Trail

__all__ = ["SLACK", "OldNotes", "Tidier", "may_go"]

SLACK = timedelta(hours=1)
"""The trail's line of an end may be written later than its files, after a crash: files must be
that much older than the moment which the trail is told."""
_PIECE = 1_000


def may_go(remnant: Remnant, ties: Ties) -> bool:
    """Whether something that is old enough is needed by nobody."""
    if remnant.letter is not None:
        return remnant.letter not in ties.open_letters
    order_id = remnant.order_id
    if order_id is None:
        return True
    if order_id in ties.open_orders or _letter_of(order_id) in ties.waiting_letters:
        return False
    match remnant.kind:
        case OldKind.ORDERS:
            is_needed = order_id in ties.needed_orders
            return not (remnant.is_unanswered or remnant.is_undecided or is_needed)
        case OldKind.FILES:
            return not remnant.is_undecided and order_id not in ties.mentioned
        case _:
            return True


@define
class Tidier:
    """Tidies one folder."""

    _files: OldFiles
    _catalogue: OrderCatalogue
    _trail: Trail
    _records: Mapping[OldKind, OldRecords] = field(factory=dict)
    """Kinds that are no files."""

    async def look(self, ages: Mapping[OldKind, timedelta], now: datetime) -> Sequence[Tidied]:
        """What would go.  Raises `StorageUnavailable`."""
        ties = await self._ties()
        return [await self._look(kind, now - age, ties) for kind, age in _in_order(ages)]

    async def tidy(
        self, ages: Mapping[OldKind, timedelta], now: datetime, *, by: str
    ) -> Sequence[Tidied]:
        """Remove it, with a line in the trail for each kind; what went.

        Raises `StorageUnavailable`, after all kinds that could be tidied were; what was removed
        until then is on record.
        """
        done, failure = [], None
        for kind, age in _in_order(ages):
            try:
                done.append(await self._tidy(kind, now - age, by))
            except StorageUnavailable as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return done

    async def _tidy(self, kind: OldKind, before: datetime, by: str) -> Tidied:
        found = await self._look(kind, before, await self._ties())
        if not found.old.count:
            return found
        line = self._trail.event(
            AuditType.CLEANED_UP,
            kind=kind.value,
            before=found.before.isoformat(),
            count=found.old.count,
            bytes=found.old.size,
            by=by,
        )
        data = {**line.data, **found.old.detail}
        await self._trail.record(evolve(line, data=data))
        return evolve(found, old=await self._remove(kind, found.before))

    async def _look(self, kind: OldKind, before: datetime, ties: Ties) -> Tidied:
        records = self._records.get(kind)
        if records is not None:
            return Tidied(kind=kind, before=before, old=await records.measure(before - SLACK))
        old = kept = Pile()
        async for remnants in self._files.find(kind, before - SLACK):
            for remnant in remnants:
                pile = Pile(count=1, size=remnant.size)
                if may_go(remnant, ties):
                    old += pile
                else:
                    kept += pile
        return Tidied(kind=kind, before=before, old=old, kept=kept)

    async def _remove(self, kind: OldKind, before: datetime) -> Pile:
        records = self._records.get(kind)
        if records is not None:
            return await records.remove(before - SLACK)
        done = Pile()
        # Asked anew: an order that was handed in since may need what was free a moment ago.
        ties = await self._ties()
        async for remnants in self._files.find(kind, before - SLACK):
            going = [remnant for remnant in remnants if may_go(remnant, ties)]
            count = await self._files.remove(going)
            done += Pile(count=count, size=sum(remnant.size for remnant in going))
        return done

    async def _ties(self) -> Ties:
        ids: set[OrderId] = set()
        needed: set[OrderId] = set()
        async for views in self._catalogue.unfinished():
            ids.update(view.order.id for view in views)
            needed.update(each for view in views for each in view.order.after)
        return evolve(
            await self._files.waiting(),
            open_orders=frozenset(ids),
            open_letters=frozenset(map(_letter_of, ids)),
            needed_orders=frozenset(needed),
        )


@define
class OldNotes(OldRecords):
    """Keys of notes that were closed, of those kinds that may be forgotten one day."""

    _notes: NoteStore
    _kinds: Sequence[str]

    async def measure(self, before: datetime) -> Pile:
        """Port `OldRecords`; keys have no size worth telling."""
        count = 0
        for kind in self._kinds:
            async for key in self._closed(kind):
                if key.at >= before:
                    break
                count += 1
        return Pile(count=count)

    async def remove(self, before: datetime) -> Pile:
        """Port `OldRecords`."""
        return Pile(count=sum([await self._notes.prune(kind, before) for kind in self._kinds]))

    async def _closed(self, kind: str) -> AsyncIterator[ClosedKey]:
        after: ClosedKey | None = None
        while keys := await self._notes.closed(kind, after=after, limit=_PIECE):
            for key in keys:
                yield key
            after = keys[-1]


def _in_order(ages: Mapping[OldKind, timedelta]) -> list[tuple[OldKind, timedelta]]:
    # What belongs to an order is judged by the order, so orders go last of these.
    last = (OldKind.ORDERS, OldKind.AUDIT)
    return sorted(ages.items(), key=lambda item: (item[0] in last, list(OldKind).index(item[0])))


def _letter_of(order_id: str) -> str:
    return safe_order_id(f"hermes-{order_id}")
