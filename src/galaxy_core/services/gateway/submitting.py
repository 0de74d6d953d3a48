"""Handing an order in, on record, and from then on under somebody's eyes."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, evolve

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.order import Order
from galaxy_core.ports.order_queue import Enqueued
from galaxy_core.services.gateway.config import MachinePorts


async def submit_on_record(machine: MachinePorts, order: Order) -> Enqueued:
    """Hand the order in, and say who did.  Safe twice: its idempotency key makes it the same order.

    Raises `StorageUnavailable`.
    """
    enqueued = await machine.desk.submit(order)
    await machine.trail.record(
        machine.trail.event(
            AuditType.ORDER_SUBMITTED,
            enqueued.order_id,
            key=order.idempotency_key,
            channel=order.channel,
            chat_id=order.chat_id,
            sender=order.sender or None,
            # After a crash nobody knows whether the line was written before.
            is_repeated=not enqueued.is_new or None,
        )
    )
    return enqueued


@define
class Submitter:
    """Hands in what channels bring."""

    _watch: Callable[[MachinePorts, Order], None]
    """Tells whoever shows people how their orders get on; never waits."""

    async def submit(self, machine: MachinePorts, order: Order) -> OrderId:
        """Hand the order in; its id.  Safe twice.  Raises `StorageUnavailable`."""
        enqueued = await submit_on_record(machine, order)
        self._watch(machine, evolve(order, id=enqueued.order_id))
        return enqueued.order_id
