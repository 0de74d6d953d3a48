"""Every order one end, every end one response, every response one delivered letter.

The names in the folders are listed first, then the trail is read, then single things are looked
up: whatever the first look finds was put on record before, so a running system shows no false
gap.  What still looks like one is looked at again with the lines that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attrs import define, field

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.proof import Gap, GapKind, ProofReport
from galaxy_core.ports.audit_trail import AuditTrail
from galaxy_core.ports.inventory import Inventory, LetterPlace, LetterTrace
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.services.proof.reading import Reader, share_of, shares
from galaxy_core.services.proof.report import Gaps, Tally
from galaxy_core.services.proof.stories import Stories, Story, letter_of

ROUNDS = 3
"""Looks at what seems to be missing: it may have been under way."""
BATCH = 500


@define
class OrderProof:
    """Compares trail, archive, responses and letters of one folder."""

    _catalogue: OrderCatalogue
    _responses: ResponseStore
    _inventory: Inventory
    _trail: AuditTrail
    _gaps: Gaps = field(factory=Gaps, init=False)
    _letters: Tally = field(factory=Tally, init=False)
    _returned: Tally = field(factory=Tally, init=False)
    _orders: int = field(default=0, init=False)
    _older: int = field(default=0, init=False)

    async def check(self) -> ProofReport:
        """Look at every order.  To be called once.  Raises `StorageUnavailable`."""
        total = 0
        async for _ in self._inventory.ended():
            total += 1
        parts = shares(total)
        for part in range(parts):
            await self._check_share(part, parts)
        waiting = Tally()
        known: set[OrderId] = set()
        async for views in self._catalogue.unfinished():
            for view in views:
                if view.order.id not in known:
                    known.add(view.order.id)
                    waiting.add(view.order.id)
        return ProofReport(
            orders=self._orders,
            older=self._older,
            gaps=tuple(self._gaps.named),
            gap_count=self._gaps.count,
            waiting_orders=waiting.names,
            waiting_letters=self._letters.names,
            undeliverable=self._returned.names,
        )

    async def _check_share(self, part: int, parts: int) -> None:
        stories, reader = Stories(), Reader(self._trail)
        async for order_id in self._inventory.ended():
            if share_of(order_id, parts) == part:
                stories.of(order_id).is_archived = True
        async for order_id in self._inventory.answered():
            if share_of(order_id, parts) == part:
                stories.of(order_id).is_answered = True
        await self._read(reader, stories, part, parts)
        suspects = await self._judge(stories, list(stories.found), is_first=True)
        for _ in range(ROUNDS - 1):
            if not suspects:
                break
            await self._read(reader, stories, part, parts)
            suspects = await self._judge(stories, list(suspects), is_first=False)
        found = [gap for gaps in suspects.values() for gap in gaps]
        for gap in sorted(found, key=lambda gap: (gap.sequence or 0, gap.subject)):
            self._gaps.put(gap)

    async def _read(self, reader: Reader, stories: Stories, part: int, parts: int) -> None:
        async for record in reader.lines():
            event = record.event
            stories.note_start(event)
            if event.event_type == AuditType.CLEANED_UP:
                stories.note_cleaning(record)
            elif event.order_id is not None and share_of(event.order_id, parts) == part:
                stories.note(record)

    async def _judge(
        self, stories: Stories, ids: Sequence[str], *, is_first: bool
    ) -> dict[str, list[Gap]]:
        """Those of the orders of which something seems to be missing, with what it is."""
        suspects: dict[str, list[Gap]] = {}
        for start in range(0, len(ids), BATCH):
            batch = ids[start : start + BATCH]
            letters = await self._inventory.letters([letter_of(each) for each in batch])
            for name, letter in zip(batch, letters, strict=True):
                judge = _Judge(OrderId(name), stories.found[name], stories)
                await self._look_up(judge)
                if judge.is_older:
                    self._older += is_first
                    continue
                judge.judge(letter)
                self._orders += is_first and judge.story.end is not None
                if judge.gaps:
                    suspects[name] = judge.gaps
                elif judge.is_on_its_way:
                    self._letters.add(name)
                elif judge.is_returned:
                    self._returned.add(name)
        return suspects

    async def _look_up(self, judge: _Judge) -> None:
        """Ask for what the lists do not have: it may have come since."""
        story, order_id = judge.story, judge.order_id
        if story.end is not None and story.is_archived and story.is_answered:
            return
        if story.end is None or not story.is_archived:
            view = await self._catalogue.get(order_id)
            judge.is_waiting = view is not None and not view.state.is_final
            story.is_archived = view is not None and view.state.is_final
            if view is not None and view.ending is not None:
                judge.ended_at = view.ending.finished_at
            judge.has_no_outcome = view is not None and view.ending is None
        if not story.is_answered:
            story.is_answered = await self._responses.exists(order_id)
        if story.line is None and story.is_answered and not story.is_archived:
            response = await self._responses.get(order_id)
            judge.ended_at = response.finished_at if response is not None else None


@define
class _Judge:
    """One order, with what is known of it."""

    order_id: OrderId
    story: Story
    stories: Stories
    is_waiting: bool = False
    has_no_outcome: bool = False
    ended_at: datetime | None = None
    """When it ended, as its files say; looked up only where the trail does not say it."""
    gaps: list[Gap] = field(factory=list)
    is_on_its_way: bool = field(default=False, init=False)
    is_returned: bool = field(default=False, init=False)

    @property
    def is_older(self) -> bool:
        """Whether it ended before the trail was begun, as far as its files tell."""
        if self.story.line is not None or self.is_waiting:
            return False
        started_at = self.stories.started_at
        if started_at is None or self.has_no_outcome:
            return True  # no trail, or an order of the original system, which had another one
        is_cut_off = "audit" in self.stories.cleaned and not self.story.is_archived
        if is_cut_off and (self.story.delivery is not None or self.story.is_returned):
            return (
                True  # its end was in the last of the parts that were removed on a person's order
            )
        return self.ended_at is not None and self.ended_at < started_at

    def judge(self, letter: LetterTrace | None) -> None:
        """Fill `gaps`."""
        story = self.story
        if story.second_end is not None:
            text = f"it ended twice (line numbers {story.end} and {story.second_end})"
            self._miss(GapKind.ORDER_ENDED_TWICE, text, story.second_end)
        if story.second_delivery is not None:
            text = (
                "its answer was delivered twice"
                f" (line numbers {story.delivery} and {story.second_delivery})"
            )
            self._miss(GapKind.DELIVERED_TWICE, text, story.second_delivery)
        if self.is_waiting:
            return  # in the middle of something, or of its end
        if story.end is None:
            self._judge_without_end()
            return
        if not story.is_archived and not self.stories.is_cleaned("orders", story):
            text = f"it ended (line number {story.end}), and is not in the archive"
            self._miss(GapKind.ORDER_NOT_ARCHIVED, text, story.end)
        if not story.is_answered and not self.stories.is_cleaned("responses", story):
            text = f"it ended (line number {story.end}), and has no response"
            self._miss(GapKind.RESPONSE_MISSING, text, story.end)
        if not self.stories.is_cleaned("letters", story):
            self._judge_letter(letter)

    def _judge_without_end(self) -> None:
        story = self.story
        if story.is_archived or story.is_answered:
            where = "in the archive" if story.is_archived else "answered"
            text = f"it is {where}, and no line says how it ended"
            self._miss(GapKind.END_UNRECORDED, text, story.line)
        else:
            text = (
                f"it was accepted (line number {story.line}), and neither waits, runs nor has ended"
            )
            self._miss(GapKind.ORDER_LOST, text, story.line)

    def _judge_letter(self, letter: LetterTrace | None) -> None:
        story = self.story
        if letter is None:
            said = f" (delivered, says line number {story.delivery})" if story.delivery else ""
            text = f"the letter with its answer{said} is neither in the outbox nor with those sent"
            self._miss(GapKind.LETTER_MISSING, text, story.delivery or story.end)
            return
        match letter.place:
            case LetterPlace.WAITING:
                self.is_on_its_way = True
            case LetterPlace.UNDELIVERABLE:
                self.is_returned = True
                if not story.is_returned and story.delivery is None:
                    text = "its letter was set aside as undeliverable, and no line says so"
                    self._miss(GapKind.DELIVERY_UNRECORDED, text, story.end)
            case LetterPlace.SENT:
                if not letter.has_receipt:
                    text = "its letter lies with those that were sent, without a receipt"
                    self._miss(GapKind.RECEIPT_MISSING, text, story.delivery or story.end)
                if story.delivery is None:
                    text = "its letter was sent, and no line says that it was delivered"
                    self._miss(GapKind.DELIVERY_UNRECORDED, text, story.end)

    def _miss(self, kind: GapKind, text: str, sequence: int | None) -> None:
        sentence = f"order {self.order_id}: {text}"
        self.gaps.append(
            Gap(kind=kind, subject=self.order_id, sentence=sentence, sequence=sequence)
        )
