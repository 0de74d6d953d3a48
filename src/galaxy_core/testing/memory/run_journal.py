"""What is written down about the attempts at orders, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, evolve, field

from galaxy_core.domain.delivery import RunRecord, Settlement, Ticket
from galaxy_core.domain.ids import OrderId
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.testing.faults import Faults


@define(eq=False)
class MemoryRunJournal(RunJournal):
    """One record per order; writes are named `journal.<method>`."""

    records: dict[OrderId, RunRecord] = field(factory=dict)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def write_ticket(self, order_id: OrderId, ticket: Ticket) -> None:
        async with self.faults.around("journal.write_ticket"):
            record = self.records.get(order_id, RunRecord())
            self.records[order_id] = evolve(record, tickets=(*record.tickets, ticket))

    async def write_settlement(self, settlement: Settlement) -> None:
        async with self.faults.around("journal.write_settlement"):
            record = self.records.get(settlement.order_id, RunRecord())
            if settlement.outranks(record.settlement):
                self.records[settlement.order_id] = evolve(record, settlement=settlement)

    async def read(self, order_id: OrderId) -> RunRecord:
        async with self.faults.around("journal.read", is_write=False):
            return self.records.get(order_id, RunRecord())

    async def list(self) -> Sequence[OrderId]:
        async with self.faults.around("journal.list", is_write=False):
            return tuple(self.records)

    async def forget(self, order_id: OrderId) -> None:
        async with self.faults.around("journal.forget"):
            self.records.pop(order_id, None)
