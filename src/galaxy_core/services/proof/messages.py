"""Every accepted message one order, or one line that says why not.

*Accepted* is a message of a person to us (in a group: one that is addressed to us) which the
gateway has confirmed to its channel: the person's words are not given again.  The gateway notes
its key (`ACCEPTED`) when it confirms, after every line about it, and forgets it after a month.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from attrs import define

from galaxy_core.domain.audit import AuditEvent, AuditRecord, AuditType
from galaxy_core.domain.proof import GapKind, ProofReport
from galaxy_core.domain.tidying import OldKind
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.note_store import ClosedKey, NoteStore
from galaxy_core.services.proof.reading import Reader, share_of, shares
from galaxy_core.services.proof.report import Gaps

ACCEPTED = "accepted"
"""Kind of the notes that hold the keys of accepted messages."""
_PIECE = 1_000


@define
class MessageProof:
    """Compares the keys of accepted messages with the trails.

    `trails` are the gateway's own one first, then those of the machines that it serves.
    """

    _notes: NoteStore
    _trails: Sequence[AuditTrail]

    async def check(self) -> ProofReport:
        """Look for each key.  Raises `StorageUnavailable`.

        Keys first, trails after: a message that is accepted meanwhile is not looked for.
        """
        total = 0
        async for _ in self._accepted():
            total += 1
        gaps, looked_at = Gaps(), 0
        parts = shares(total)
        for part in range(parts):
            accepted = {
                each.key: each.at
                async for each in self._accepted()
                if share_of(each.key, parts) == part
            }
            looked_at += await self._compare(accepted, gaps, (part, parts))
        return ProofReport(messages=looked_at, gaps=tuple(gaps.named), gap_count=gaps.count)

    async def _accepted(self) -> AsyncIterator[ClosedKey]:
        after: ClosedKey | None = None
        while keys := await self._notes.closed(ACCEPTED, after=after, limit=_PIECE):
            for each in keys:
                yield each
            after = keys[-1]

    async def _compare(
        self, accepted: dict[str, datetime], gaps: Gaps, share: tuple[int, int]
    ) -> int:
        started_at: datetime | None = None
        count = len(accepted)
        orders: dict[str, str] = {}
        for number, trail in enumerate(self._trails):
            first: datetime | None = None
            async for record in Reader(trail).lines():
                first = first or record.event.timestamp
                if started_at is None:
                    started_at = first if number == 0 else None
                elif _is_cut(record.event):
                    # The line may have been in what was removed, whichever trail that is.
                    started_at = max(started_at, first)
                _tick_off(record, accepted, orders, gaps, share)
        for key, at in accepted.items():
            if started_at is None or at < started_at:
                count -= 1  # accepted before what is left of the trails begins
                continue
            gaps.add(
                GapKind.MESSAGE_UNEXPLAINED,
                key,
                f"message {key}: it was accepted at {at.isoformat(timespec='seconds')}, and no line"
                " says what became of it",
            )
        return count


def _is_cut(event: AuditEvent) -> bool:
    return event.event_type == AuditType.CLEANED_UP and event.data.get("kind") == OldKind.AUDIT


def _tick_off(
    record: AuditRecord,
    accepted: dict[str, datetime],
    orders: dict[str, str],
    gaps: Gaps,
    share: tuple[int, int],
) -> None:
    event = record.event
    key = event.data.get("key")
    if not isinstance(key, str):
        return
    accepted.pop(key, None)
    if event.event_type != AuditType.ORDER_SUBMITTED or event.order_id is None:
        return
    # Of a message for several machines each order has the key and its machine's name.
    accepted.pop(key.rpartition(":")[0], None)
    if share_of(key, share[1]) != share[0]:
        return
    known = orders.setdefault(key, event.order_id)
    if known != event.order_id:
        gaps.add(
            GapKind.MESSAGE_ORDERED_TWICE,
            key,
            f"message {key}: it became two orders, {known} and {event.order_id}"
            f" (line number {record.sequence})",
            record.sequence,
        )
