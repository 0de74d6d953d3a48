"""What people do with orders from outside of Hermes: hand in, cancel, try again, dismiss.

Nothing here needs a Hermes that runs.  Cancelling an order that only waits ends it on the spot, by
claiming it like a worker; one that somebody holds, or that an agent may still be working on, is
left to Hermes, who can stop the agent.
"""

from __future__ import annotations

from attrs import define, field

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import LeaseLost, OrderNotFound
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Cancellation, CancelRequested
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import CancelResult, OrderCatalogue
from galaxy_core.ports.order_queue import Enqueued, OrderQueue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.response_store import ResponseStore
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.services.hermes import answers
from galaxy_core.services.settlement import SettlementDesk
from galaxy_core.services.trail import Trail


@define(kw_only=True)
class OrderDesk:
    """Serves people; made for one machine, by a process that is not its Hermes."""

    _queue: OrderQueue
    _catalogue: OrderCatalogue
    _responses: ResponseStore
    _outbox: Outbox
    _journal: RunJournal
    _control: Control
    _audit: AuditSink
    _clock: Clock
    _machine: str
    _trail: Trail = field(init=False)
    _settlements: SettlementDesk = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._trail = Trail(self._audit, self._clock, self._machine)
        self._settlements = SettlementDesk(
            self._queue,
            self._responses,
            self._outbox,
            self._journal,
            self._control,
            self._trail,
            self._clock,
            self._machine,
        )

    async def submit(self, order: Order) -> Enqueued:
        """Hand an order in; see `OrderQueue.enqueue`.  Its receipt is recorded by Hermes."""
        return await self._queue.enqueue(order)

    async def cancel(self, order_id: OrderId, *, by: str, reason: str = "") -> Cancellation:
        """Have an order end as cancelled; safe twice.  Raises `OrderNotFound`.

        A crash in the middle leaves the wish behind, in the queue: whoever claims the order next
        ends it.  Only a running order may then not hear of it; asking again is safe.
        """
        view = await self._catalogue.get(order_id)
        if view is None:
            raise OrderNotFound(f"There is no order {order_id!r}.")
        if view.state.is_final:
            return Cancellation.ALREADY_ENDED
        command = CancelRequested(order_id=order_id, at=self._clock.now(), by=by, reason=reason)
        # The command first: from the next line on a worker may claim the order for being
        # cancelled, and must then find out that it is.
        await self._control.send(command)
        if await self._catalogue.cancel(order_id, by=by, reason=reason) is (
            CancelResult.ALREADY_ENDED
        ):
            await self._control.done(command)
            return Cancellation.ALREADY_ENDED
        await self._trail.record(
            self._trail.event(
                AuditType.ORDER_CANCEL_REQUESTED,
                order_id,
                severity=AuditSeverity.WARNING,
                by=by or None,
                reason=reason or None,
            )
        )
        delivery = await self._queue.claim(only=order_id)
        if delivery is None:
            return Cancellation.REQUESTED
        try:
            return await self._end(delivery, by)
        except LeaseLost:
            return Cancellation.REQUESTED

    async def _end(self, delivery: Delivery, by: str) -> Cancellation:
        order = delivery.order
        record = await self._journal.read(order.id)
        if record.tickets or record.settlement or await self._responses.exists(order.id):
            # An agent may be working on it, or its end is half written: that is for Hermes.
            await self._queue.nack(delivery, reason="it is being cancelled", is_counted=False)
            return Cancellation.REQUESTED
        await self._trail.record(
            self._trail.receipt(delivery),
            self._trail.event(AuditType.ORDER_CLAIMED, order.id, attempt=delivery.attempt, by=by),
        )
        await self._settlements.settle(
            delivery,
            answers.without_running(
                delivery,
                Outcome.CANCELLED,
                answers.cancelled_by(by),
                machine=self._machine,
                now=self._clock.now(),
            ),
        )
        return Cancellation.ENDED

    async def retry(self, order_id: OrderId, *, by: str) -> OrderId:
        """Enqueue an order that ended without success once more; the new order's id.

        Raises `OrderNotFound`, `OrderNotRetryable`.
        """
        new_id = await self._catalogue.retry(order_id)
        await self._trail.record(
            self._trail.event(AuditType.ORDER_RETRIED, order_id, new_order_id=new_id, by=by or None)
        )
        return new_id

    async def dismiss(self, order_id: OrderId, *, by: str) -> bool:
        """Have an order that was given up listed no more; False when somebody has decided already.

        On record first: a crash in between leaves a line, and asking again is safe.
        Raises `OrderNotFound`, `OrderNotDismissable`.
        """
        view = await self._catalogue.get(order_id)
        if view is not None and view.state is OrderState.DEAD and not view.is_decided:
            await self._trail.record(
                self._trail.event(AuditType.ORDER_DISMISSED, order_id, by=by or None)
            )
        return await self._catalogue.dismiss(order_id)
