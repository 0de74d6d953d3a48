"""Ending an order: one response, one letter, one line in the trail, one place in the archive.

The order of the steps is what makes a crash harmless.  After each step a new worker that claims
the order finds enough to do the rest, and nothing of it twice:

1. the decision is written into the journal    -> the rest is done from there, nobody is asked
2. side by side, all of them from that decision, so that each says the same whoever writes it:
   the response (first one wins), the trail's line, the letter (its name makes posting it again
   a no-op)                                    -> whichever are missing are written from 1
3. the order is archived, once all of 2 stand  -> it is not given out again
4. the journal is forgotten                    -> what is left of it is swept at the next start

A line of the trail may be written a second time when the crash fell between 2 and 3; it says so
(`is_repeated`).
"""

from __future__ import annotations

from pathlib import Path

import structlog
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery, Settlement
from galaxy_core.domain.errors import AlreadyAnswered, TransientError
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Outcome, Response
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_files import OrderFiles
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.services._concurrency import together
from galaxy_core.services.trail import Opening, Trail, preview

log = structlog.get_logger(__name__)

_LINES = {
    Outcome.SUCCEEDED: (AuditType.ORDER_EXECUTED_SUCCESS, AuditSeverity.INFO),
    Outcome.FAILED: (AuditType.ORDER_EXECUTED_FAILURE, AuditSeverity.ERROR),
    Outcome.CANCELLED: (AuditType.ORDER_CANCELLED, AuditSeverity.WARNING),
    Outcome.EXPIRED: (AuditType.ORDER_EXPIRED, AuditSeverity.WARNING),
    Outcome.DEAD: (AuditType.ORDER_DEAD_LETTERED, AuditSeverity.ERROR),
}
_LETTER_SEVERITY = {
    Outcome.SUCCEEDED: Severity.SUCCESS,
    Outcome.FAILED: Severity.WARNING,
    Outcome.CANCELLED: Severity.INFO,
    Outcome.EXPIRED: Severity.WARNING,
    Outcome.DEAD: Severity.ALERT,
}
LETTER_PAYLOAD_CHARACTERS = 200


@define
class Closing:
    """One order's way through the four steps; remembers how far it came."""

    delivery: Delivery
    settlement: Settlement
    """The decision; replaced by an earlier one, should one stand in the journal."""
    opening: Opening = field(factory=Opening)
    """Lines that belong before the one about the end."""
    is_repeated: bool = False
    """Whether the decision was found in the journal."""
    is_recorded: bool = field(default=False, init=False)
    """Whether the trail has the line about the end."""
    is_archiving: bool = field(default=False, init=False)
    """Whether the last step was begun: the order may be archived."""
    is_over: bool = field(default=False, init=False)
    """Whether the order is archived."""


@define
class SettlementDesk:
    """Ends orders that the caller holds."""

    _queue: OrderQueue
    _responses: ResponseStore
    _outbox: Outbox
    _journal: RunJournal
    _control: Control
    _trail: Trail
    _clock: Clock
    _machine: str
    _files: OrderFiles | None = None
    """Where agents put files for people; None: nowhere."""
    _root: Path | None = None
    """The machine's folder, at which the paths in letters begin."""

    async def settle(self, delivery: Delivery, settlement: Settlement) -> None:
        """End the order; see `carry_out`."""
        await self.carry_out(Closing(delivery, settlement))

    async def carry_out(self, closing: Closing) -> None:
        """Do all four steps, or the rest of them: may be called again after any failure.

        Raises `LeaseLost` when the order belongs to somebody else now, `StorageUnavailable` when
        a step cannot be written now.
        """
        if not closing.is_archiving:
            await self._answer(closing)
        # The lease is not looked at again: after a failure from here on it may be gone because
        # the order is archived.
        closing.is_archiving = True
        settlement = closing.settlement
        if settlement.ending.outcome is Outcome.DEAD:
            await self._queue.dead_letter(closing.delivery, settlement.ending)
        else:
            await self._queue.ack(closing.delivery, settlement.ending)
        closing.is_over = True
        await self._tidy_up(closing.delivery.order)

    async def _answer(self, closing: Closing) -> None:
        """Steps 1 and 2."""
        delivery, order = closing.delivery, closing.delivery.order
        # A worker that was frozen must neither decide nor answer an order that was taken over.
        await self._queue.renew(delivery)
        if not closing.is_repeated:
            await self._journal.write_settlement(closing.settlement)
            # Another one may stand (the journal's rule); everybody goes by that.
            standing = (await self._journal.read(order.id)).settlement
            closing.settlement = standing or closing.settlement
            await self._queue.renew(delivery)
        # Whoever slips through between this look and the writes has the decision that stands in
        # the journal, and writes what the holder writes: response and letter go in once.
        letter = self._letter(order, closing.settlement, await self._outgoing(order))
        await together(
            lambda: self._outbox.post(letter),
            lambda: self._record(closing),
            lambda: self._commit(closing),
        )

    async def _outgoing(self, order: Order) -> tuple[str, ...]:
        """The files that go with the answer, as they lie there now."""
        if self._files is None or not order.channel or not order.chat_id:
            return ()
        try:
            paths = await self._files.outgoing(order.id)
        except TransientError as error:
            # They stay where they are, and an answer without them is better than none.
            log.error("order.files_not_read", order_id=order.id, error=str(error))
            return ()
        root = self._root
        return tuple(
            str(Path(each).relative_to(root)) if root and Path(each).is_relative_to(root) else each
            for each in paths
        )

    async def _commit(self, closing: Closing) -> None:
        order = closing.delivery.order
        try:
            await self._responses.commit(self._response(order, closing.settlement))
        except AlreadyAnswered:
            log.info("order.already_answered", order_id=order.id)

    async def _record(self, closing: Closing) -> None:
        if not closing.is_recorded:
            await closing.opening.write(self._trail, self._line(closing))
            closing.is_recorded = True

    async def _tidy_up(self, order: Order) -> None:
        """Step 4; what fails here is swept at the next start."""
        try:
            await self._journal.forget(order.id)
            for command in await self._control.pending(order.id):
                await self._control.done(command)
        except TransientError as error:
            log.warning("order.tidy_up_failed", order_id=order.id, error=str(error))

    def _response(self, order: Order, settlement: Settlement) -> Response:
        stamp = order.wire.get("timestamp")
        if not isinstance(stamp, str):
            stamp = order.timestamp.isoformat() if order.timestamp else "unknown"
        return Response(
            order_id=order.id,
            text=settlement.text,
            machine=self._machine,
            finished_at=settlement.ending.finished_at,
            payload=order.payload,
            order_timestamp=stamp,
        )

    def _line(self, closing: Closing) -> AuditEvent:
        delivery, ending = closing.delivery, closing.settlement.ending
        event_type, severity = _LINES[ending.outcome]
        usage = ending.usage
        seconds = (
            round((ending.finished_at - ending.started_at).total_seconds(), 3)
            if ending.started_at
            else None
        )
        return self._trail.event(
            event_type,
            delivery.order.id,
            severity=severity,
            outcome=ending.outcome.value,
            attempt=delivery.attempt,
            reason=ending.reason,
            session_id=ending.session_id,
            elapsed_s=seconds,
            tokens=usage.total_tokens if usage else None,
            cost_usd=usage.cost_usd if usage else None,
            payload_preview=preview(delivery.order.payload),
            may_have_run_twice=ending.may_have_run_twice or None,
            is_repeated=closing.is_repeated or None,
        )

    def _letter(self, order: Order, settlement: Settlement, files: tuple[str, ...]) -> Letter:
        return Letter(
            # One letter per order: the name is what makes a second post a no-op.
            name=f"hermes-{order.id}",
            message=settlement.text,
            severity=_LETTER_SEVERITY[settlement.ending.outcome],
            sender=f"Hermes ({self._machine})",
            timestamp=settlement.ending.finished_at,
            order_id=order.id,
            chat_id=order.chat_id,
            channel=order.channel,
            topic=order.topic,
            reply_to=order.reply_to,
            order_payload=order.payload[:LETTER_PAYLOAD_CHARACTERS],
            format=LetterFormat.MARKDOWN,
            files=files,
        )
