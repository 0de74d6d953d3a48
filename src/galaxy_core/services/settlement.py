"""Ending an order: one response, one letter, one line in the trail, one place in the archive.

The order of the steps is what makes a crash harmless.  After each step a new worker that claims
the order finds enough to do the rest, and nothing of it twice:

1. the decision is written into the journal    -> the rest is done from there, nobody is asked
2. the response is committed (first one wins)  -> nobody else can answer this order any more
3. the trail's line and the letter             -> the letter's name makes posting it again a no-op
4. the order is archived                       -> it is not given out again
5. the journal is forgotten                    -> what is left of it is swept by the next settlement

A line of the trail may be written a second time when the crash fell between 3 and 4; it says so
(`is_repeated`).
"""

from __future__ import annotations

import structlog
from attrs import define

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery, Settlement
from galaxy_core.domain.errors import AlreadyAnswered
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Outcome, Response
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.services._concurrency import together
from galaxy_core.services.trail import Trail, preview

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

    async def settle(
        self, delivery: Delivery, settlement: Settlement, *, is_repeated: bool = False
    ) -> None:
        """Do all five steps; safe to call again with the same settlement after any failure.

        `is_repeated` says that the decision was found in the journal.  Raises `LeaseLost` when
        the order belongs to somebody else now, `StorageUnavailable` when a step cannot be
        written now.
        """
        order = delivery.order
        if not is_repeated:
            await self._journal.write_settlement(settlement)
        # A worker that was frozen must not answer an order that was taken over meanwhile.  What
        # slips through between this look and the commit is stopped by the commit: it is
        # exclusive, and both sides write the settlement that stands in the journal.
        await self._queue.renew(delivery)
        try:
            await self._responses.commit(self._response(order, settlement))
        except AlreadyAnswered:
            log.info("order.already_answered", order_id=order.id)
        line = self._line(delivery, settlement, is_repeated=is_repeated)
        letter = self._letter(order, settlement)
        await together(
            lambda: self._trail.record(line),
            lambda: self._outbox.post(letter),
        )
        if settlement.ending.outcome is Outcome.DEAD:
            await self._queue.dead_letter(delivery, settlement.ending)
        else:
            await self._queue.ack(delivery, settlement.ending)
        await self._journal.forget(order.id)
        for command in await self._control.pending(order.id):
            await self._control.done(command)

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

    def _line(self, delivery: Delivery, settlement: Settlement, *, is_repeated: bool) -> AuditEvent:
        ending = settlement.ending
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
            is_repeated=is_repeated or None,
        )

    def _letter(self, order: Order, settlement: Settlement) -> Letter:
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
        )
