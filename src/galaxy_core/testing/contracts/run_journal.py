"""The contract of `RunJournal`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import pytest
from attrs import frozen

from galaxy_core.domain.delivery import RunRecord, TicketKind
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Ending, Outcome, Usage
from galaxy_core.ports.run_journal import RunJournal
from galaxy_core.testing.contracts.contract import Contract, nasty_texts, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.factories import make_ending, make_settlement, make_ticket

A = OrderId("a")


@frozen(kw_only=True)
class JournalFeatures(StoreFeatures):
    """What a journal can do beyond the bare contract."""

    can_be_torn: bool = False
    """The harness can tear the last write, as a power cut in the middle of it does."""


class JournalHarness(Harness[RunJournal]):
    """An empty journal."""

    async def tear(self, order_id: OrderId) -> None:
        """Leave only a first part of what was written last about the order."""
        raise NotImplementedError


class RunJournalContract(Contract):
    """Everything that a `RunJournal` owes its callers."""

    features: ClassVar[JournalFeatures] = JournalFeatures()

    @requires("can_refuse")
    async def test_refusing_journal_says_so(self, harness: JournalHarness) -> None:
        """What is not written down must not be done: it raises `StorageUnavailable`."""
        journal = await harness.open()
        first, second = make_ticket(), make_ticket(attempt=2)
        await journal.write_ticket(A, first)
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await journal.write_ticket(A, second)
            with pytest.raises(StorageUnavailable):
                await journal.write_settlement(make_settlement(order_id="a"))
        assert await journal.read(A) == RunRecord(tickets=(first,))
        await journal.write_ticket(A, second)
        assert await journal.read(A) == RunRecord(tickets=(first, second))

    async def test_orders_with_a_record_are_listed(self, harness: JournalHarness) -> None:
        """A sweep at the start finds every record, whichever part of it was written."""
        journal = await harness.open()
        assert list(await journal.list()) == []
        await journal.write_ticket(A, make_ticket())
        await journal.write_settlement(make_settlement(order_id="Ordnung ä-1"))
        await journal.write_ticket(OrderId("gone"), make_ticket())
        await journal.forget(OrderId("gone"))
        await journal.read(OrderId("only asked for"))
        assert sorted(await journal.list()) == ["Ordnung ä-1", "a"]

    async def test_order_without_record_is_empty(self, harness: JournalHarness) -> None:
        """Asking for what is not there gives an empty record, not an error."""
        journal = await harness.open()
        assert await journal.read(A) == RunRecord()
        await journal.forget(A)

    async def test_first_settlement_stands(self, harness: JournalHarness) -> None:
        """A decision that was written down is carried out, whatever is decided later."""
        journal = await harness.open()
        first = make_settlement(order_id="a", text="first")
        await journal.write_settlement(first)
        second = make_ending(outcome=Outcome.FAILED, reason="changed my mind")
        await journal.write_settlement(make_settlement(order_id="a", text="2", ending=second))
        assert (await journal.read(A)).settlement == first

    @requires("can_be_torn")
    async def test_torn_ticket_counts_as_unwritten(self, harness: JournalHarness) -> None:
        """The message of a half-written ticket was never sent; the journal goes on after it."""
        journal = await harness.open()
        first, third = make_ticket(), make_ticket(attempt=3)
        await journal.write_ticket(A, first)
        await journal.write_ticket(A, make_ticket(attempt=2))
        await harness.tear(A)
        journal = await harness.open()
        assert await journal.read(A) == RunRecord(tickets=(first,))
        await journal.write_ticket(A, third)
        assert await journal.read(A) == RunRecord(tickets=(first, third))

    async def test_later_attempt_outranks(self, harness: JournalHarness) -> None:
        """The decision of a later attempt stands, whichever of the two is written first."""
        early = make_settlement(order_id="a", text="early", ending=make_ending(attempts=1))
        late = make_settlement(order_id="a", text="late", ending=make_ending(attempts=2))
        journal = await harness.open()
        await journal.write_settlement(early)
        await journal.write_settlement(late)
        assert (await journal.read(A)).settlement == late
        await journal.write_settlement(early)
        assert (await journal.read(A)).settlement == late

    @requires("can_be_torn")
    async def test_torn_settlement_counts_as_unwritten(self, harness: JournalHarness) -> None:
        """A half-written decision is none: the next one stands."""
        journal = await harness.open()
        ticket, settlement = make_ticket(), make_settlement(order_id="a", text="second")
        await journal.write_ticket(A, ticket)
        await journal.write_settlement(make_settlement(order_id="a", text="first"))
        await harness.tear(A)
        journal = await harness.open()
        assert await journal.read(A) == RunRecord(tickets=(ticket,))
        await journal.write_settlement(settlement)
        assert await journal.read(A) == RunRecord(tickets=(ticket,), settlement=settlement)

    async def test_tickets_come_back_in_order(self, harness: JournalHarness) -> None:
        """The last ticket is the message that the agent is asked about."""
        journal = await harness.open()
        tickets = (
            make_ticket(attempt=1),
            make_ticket(attempt=1, kind=TicketKind.CONTINUATION),
            make_ticket(attempt=2, is_session_replaced=True, data={"marker": "m", "pid": 7}),
        )
        for ticket in tickets:
            await journal.write_ticket(A, ticket)
        record = await journal.read(A)
        assert record.tickets == tickets
        assert record.last_ticket == tickets[-1]
        assert dict(record.tickets[-1].data) == {"marker": "m", "pid": 7}

    async def test_orders_do_not_mix(self, harness: JournalHarness) -> None:
        """Each order has a record of its own."""
        journal = await harness.open()
        mine, theirs = make_ticket(), make_ticket()
        await journal.write_ticket(A, mine)
        await journal.write_ticket(OrderId("a-2"), theirs)
        await journal.forget(A)
        assert await journal.read(A) == RunRecord()
        assert (await journal.read(OrderId("a-2"))).tickets == (theirs,)

    async def test_forgotten_record_begins_anew(self, harness: JournalHarness) -> None:
        """After the order is archived nothing of it is left; safe twice."""
        journal = await harness.open()
        await journal.write_ticket(A, make_ticket())
        await journal.write_settlement(make_settlement(order_id="a"))
        await journal.forget(A)
        await journal.forget(A)
        assert await journal.read(A) == RunRecord()
        ticket = make_ticket()
        await journal.write_ticket(A, ticket)
        assert await journal.read(A) == RunRecord(tickets=(ticket,))

    @nasty_texts
    async def test_decision_comes_back_whole(self, harness: JournalHarness, text: str) -> None:
        """The answer that was decided on is the one that is given, character for character."""
        journal = await harness.open()
        ending = Ending(
            outcome=Outcome.DEAD,
            finished_at=harness.now(),
            acknowledged_by="Hermes (test)",
            attempts=3,
            started_at=harness.now() - timedelta(seconds=5),
            session_id="ses_1",
            usage=Usage(input_tokens=1, cost_usd=0.5),
            reason="It failed.",
            may_have_run_twice=True,
            is_demo=True,
        )
        settlement = make_settlement(order_id="a", ending=ending, text=text)
        await journal.write_settlement(settlement)
        assert (await journal.read(A)).settlement == settlement

    @requires("survives_restart")
    async def test_record_survives_a_restart(self, harness: JournalHarness) -> None:
        """What was written down before a crash is what the next worker goes by."""
        journal = await harness.open()
        ticket, settlement = make_ticket(), make_settlement(order_id="a")
        await journal.write_ticket(A, ticket)
        await journal.write_settlement(settlement)
        await harness.restart()
        found = await (await harness.open()).read(A)
        assert found == RunRecord(tickets=(ticket,), settlement=settlement)
