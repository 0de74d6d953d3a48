"""One attempt at one order with the agent: to a decision how it ends, or to giving it back.

What is written down before what, so that a kill at any place neither loses nor repeats a message:

    prepare (nothing sent) -> ticket into the journal, line into the trail -> send

An attempt that finds a ticket asks the agent about it first.  The decision itself is carried out
by `settlement`.
"""

from __future__ import annotations

import random
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import TypeAlias

import anyio
from attrs import define, evolve, field, frozen

from galaxy_core.domain.audit import AuditEvent, AuditType
from galaxy_core.domain.delivery import Delivery, Finding, RunRecord, Settlement, Ticket, TicketKind
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    DispatchRejected,
    GalaxyError,
)
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import RecoveryPolicy
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.domain.run import (
    Option,
    Question,
    QuestionAsked,
    QuestionReply,
    RunEnded,
    RunRequest,
    Verdict,
)
from galaxy_core.domain.session import Session
from galaxy_core.services._concurrency import together
from galaxy_core.services.hermes import answers
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.hermes.people import PeopleDesk
from galaxy_core.services.hermes.requests import build_request
from galaxy_core.services.trail import Trail, preview

FETCH_ATTEMPTS_FACTOR = 10
"""An order whose answer only has to be fetched may be claimed more often than `max_attempts`
(Hermes was restarted while the agent worked), but not without end: one that kills Hermes each
time is dead after this many times as many."""
GO_ON = "Go on"
STOP = "Stop"


@frozen(kw_only=True)
class GiveBack:
    """The attempt came to nothing for a passing reason: later again."""

    delay: timedelta
    reason: str


Result: TypeAlias = Settlement | GiveBack


@define
class Execution:
    """Carries one delivery out."""

    _delivery: Delivery
    _ports: HermesPorts
    _config: HermesConfig
    _trail: Trail
    people: PeopleDesk
    _started_at: datetime = field(init=False)
    _notes: list[str] = field(factory=list, init=False)
    _may_have_run_twice: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._started_at = self._ports.clock.now()
        if self._config.is_demo:
            self._notes.append(answers.DEMO)

    @property
    def _order(self) -> Order:
        return self._delivery.order

    async def carry_out(self, record: RunRecord, opening: list[AuditEvent]) -> Result:
        """Run the order, or take up a run that an earlier attempt began.

        `opening` are lines that go into the trail together with the first one written here, so
        that they cost no sync of their own.  Raises `LeaseLost`, `StorageUnavailable`.
        """
        if record.tickets and record.tickets[0].created_at:
            self._started_at = record.tickets[0].created_at
        try:
            if record.last_ticket is None:
                conversation = self._order.conversation(self._config.machine)
                session = await self._ports.sessions.get(conversation)
                return await self._send(TicketKind.PROMPT, session, opening)
            return await self._take_up(record.last_ticket, opening)
        except DispatchRejected as error:
            await self._trail.record(*opening)
            return self._end(Outcome.FAILED, reason=str(error))
        except DispatcherUnavailable as error:
            await self._trail.record(*opening)
            return self._later(str(error), retry_after=error.retry_after)

    # ---- an earlier attempt has written a ticket

    async def _take_up(self, ticket: Ticket, opening: list[AuditEvent]) -> Result:
        finding = await self._ports.dispatcher.find(ticket)
        resumed = self._trail.event(
            AuditType.ORDER_EXECUTION_RESUMED,
            self._order.id,
            attempt=self._delivery.attempt,
            finding=finding.value,
            session_id=ticket.session_id,
            message_id=ticket.message_id,
        )
        lines = [*opening, resumed]
        opening.clear()  # they are written from here on, whatever happens
        session = await self._session_of(ticket)
        if finding is Finding.UNKNOWN:
            return await self._send(ticket.kind, session, lines, unsent=ticket)
        if finding is Finding.CANNOT_TELL:
            self._note_twice()
            return await self._send(ticket.kind, session, lines)
        await self._trail.record(*lines)
        if finding is Finding.BROKEN_OFF:
            return await self._recover(ticket, text="")
        if self._delivery.attempt > self._config.retry.max_attempts * FETCH_ATTEMPTS_FACTOR:
            return self._dead("it was begun again and again without coming to an end")
        request = build_request(self._order, session, self._config, ticket.kind)
        ended = await self._watch(request, ticket)
        if ended.verdict is Verdict.BROKEN_OFF:
            # Nothing was sent by this attempt, so there is nothing to wait for.
            return await self._recover(ticket, text=ended.text)
        return self._judge(ended)

    async def _recover(self, ticket: Ticket, *, text: str) -> Result:
        """The run broke off in the middle: what the policy says."""
        if self.people.is_cancelled:
            return self._end(Outcome.CANCELLED, text=text, reason=self._who_cancelled())
        policy = self._config.recovery
        if policy is RecoveryPolicy.ASK and not await self._ask_whether_to_go_on(ticket):
            policy = RecoveryPolicy.FAIL
        if policy is RecoveryPolicy.FAIL:
            return self._end(Outcome.FAILED, text=text, reason=answers.BROKEN_OFF)
        return await self._send(TicketKind.CONTINUATION, await self._session_of(ticket), [])

    async def _ask_whether_to_go_on(self, ticket: Ticket) -> bool:
        answer = await self.people.ask(
            QuestionAsked(
                request_id=RequestId(f"recovery-{ticket.message_id}"),
                questions=(
                    Question(
                        text="The agent was interrupted in the middle of this order. Go on?",
                        header="Interrupted",
                        options=(Option(label=GO_ON), Option(label=STOP)),
                        allows_free_text=False,
                    ),
                ),
            )
        )
        return isinstance(answer, QuestionReply) and answer.answers == ((GO_ON,),)

    async def _session_of(self, ticket: Ticket) -> Session:
        """The session the ticket names, with the choices of its conversation."""
        conversation = self._order.conversation(self._config.machine)
        known = await self._ports.sessions.get(conversation)
        session = known or Session(conversation=conversation)
        return evolve(session, session_id=ticket.session_id, dispatcher=ticket.dispatcher)

    # ---- sending

    async def _send(
        self,
        kind: TicketKind,
        session: Session | None,
        opening: list[AuditEvent],
        *,
        unsent: Ticket | None = None,
    ) -> Result:
        """Write down where the message will be found, then send it.

        `unsent` is a ticket whose message never arrived: it is used again where its session is
        still there, so that a late arrival would be the same message.
        """
        attempt = self._delivery.attempt
        if attempt > self._config.retry.max_attempts:
            await self._trail.record(*opening)
            return self._dead("the last attempt was interrupted")
        request = build_request(self._order, session, self._config, kind)
        ticket = await self._ports.dispatcher.prepare(request, session, attempt=attempt, kind=kind)
        if ticket.is_session_replaced:
            self._notes.append(answers.SESSION_REPLACED)
            if kind is TicketKind.CONTINUATION:
                # The new session has never heard of the order: "go on" would mean nothing there.
                self._note_twice()
                request = build_request(self._order, session, self._config, TicketKind.PROMPT)
                ticket = evolve(ticket, kind=TicketKind.PROMPT)
        if unsent is not None and unsent.session_id == ticket.session_id:
            ticket = unsent
        if self.people.is_cancelled:
            await self._trail.record(*opening)
            return self._end(Outcome.CANCELLED, reason=self._who_cancelled())
        await self._write_down(ticket, session, opening, is_new=ticket is not unsent)
        return self._judge(await self._watch(request, ticket))

    async def _write_down(
        self, ticket: Ticket, session: Session | None, opening: list[AuditEvent], *, is_new: bool
    ) -> None:
        """Everything that must be on disk before the agent hears of the message."""
        now = self._ports.clock.now()
        ticket = evolve(ticket, created_at=ticket.created_at or now)
        conversation = self._order.conversation(self._config.machine)
        used = evolve(
            session or Session(conversation=conversation),
            session_id=ticket.session_id,
            dispatcher=ticket.dispatcher,
            updated_at=now,
        )
        lines = [*opening, *self._start_lines(ticket, session)]
        opening.clear()

        # The trail first: a ticket is what later attempts go by, so the lines that belong to it
        # must stand wherever it stands.
        await together(
            lambda: self._trail.record(*lines),
            lambda: self._ports.sessions.put(used),
        )
        if is_new:
            await self._ports.journal.write_ticket(self._order.id, ticket)

    def _start_lines(self, ticket: Ticket, session: Session | None) -> list[AuditEvent]:
        lines = []
        if ticket.is_session_replaced:
            lines.append(
                self._trail.event(
                    AuditType.SESSION_REPLACED,
                    self._order.id,
                    session_id=ticket.session_id,
                    lost_session_id=session.session_id if session else None,
                )
            )
        lines.append(
            self._trail.event(
                AuditType.ORDER_EXECUTION_STARTED,
                self._order.id,
                attempt=ticket.attempt,
                kind=ticket.kind.value,
                dispatcher=ticket.dispatcher,
                session_id=ticket.session_id,
                message_id=ticket.message_id,
                payload_preview=preview(self._order.payload),
            )
        )
        return lines

    # ---- while it runs

    async def _watch(self, request: RunRequest, ticket: Ticket) -> RunEnded:
        """Follow the run to its end; a cancelled run that does not end is left behind."""
        self.people.ticket = ticket
        ended: RunEnded | None = None
        failure: GalaxyError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.people.watch, name="request-deadlines")
            tasks.start_soon(self._leave_when_cancelled, tasks.cancel_scope, name="cancel-budget")
            try:
                async with aclosing(self._ports.dispatcher.run(request, ticket)) as events:
                    async for event in events:
                        if isinstance(event, RunEnded):
                            ended = event
                        await self.people.observe(event)
            except GalaxyError as error:  # raised below: a task group would wrap it in a group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if ended is None and self.people.is_cancelled:
            ended = RunEnded(verdict=Verdict.CANCELLED, session_id=ticket.session_id)
            await self.people.observe(ended)
        if ended is None:
            raise DispatcherUnavailable("the agent's run ended without a result")
        return ended

    async def _leave_when_cancelled(self, scope: anyio.CancelScope) -> None:
        await self.people.cancel_reached_agent.wait()
        await self._ports.clock.sleep(self._config.cancel_budget)
        scope.cancel()

    # ---- decisions

    def _judge(self, ended: RunEnded) -> Result:
        match ended.verdict:
            case Verdict.SUCCEEDED:
                return self._end(Outcome.SUCCEEDED, ended=ended)
            case Verdict.FAILED:
                return self._end(Outcome.FAILED, ended=ended, reason=ended.reason)
            case Verdict.CANCELLED:
                reason = self._who_cancelled() if self.people.is_cancelled else answers.ABORTED
                return self._end(Outcome.CANCELLED, ended=ended, reason=reason)
            case Verdict.BROKEN_OFF:
                if self.people.is_cancelled:
                    return self._end(Outcome.CANCELLED, ended=ended, reason=self._who_cancelled())
                if self._config.recovery is RecoveryPolicy.FAIL:
                    return self._end(Outcome.FAILED, ended=ended, reason=ended.reason)
                return self._later(
                    ended.reason or answers.BROKEN_OFF, retry_after=ended.retry_after, ended=ended
                )

    def _later(
        self, reason: str, *, retry_after: timedelta | None = None, ended: RunEnded | None = None
    ) -> Result:
        policy, attempt = self._config.retry, self._delivery.attempt
        if self.people.is_cancelled:
            return self._end(Outcome.CANCELLED, ended=ended, reason=self._who_cancelled())
        if policy.is_spent(attempt):
            return self._dead(reason, ended)
        delay = policy.delay(attempt, draw=random.random(), retry_after=retry_after)  # noqa: S311 - jitter, not a secret
        return GiveBack(delay=delay, reason=reason)

    def _dead(self, reason: str, ended: RunEnded | None = None) -> Settlement:
        attempts = self._delivery.attempt
        return self._end(Outcome.DEAD, ended=ended, reason=answers.gave_up(attempts, reason))

    def _end(
        self,
        outcome: Outcome,
        *,
        ended: RunEnded | None = None,
        text: str = "",
        reason: str | None = None,
    ) -> Settlement:
        ticket = self.people.ticket
        session_id = ended.session_id if ended else None
        if ended is not None:
            text = ended.text
        return Settlement(
            order_id=self._order.id,
            text=answers.wording(outcome, text=text, reason=reason, notes=tuple(self._notes)),
            ending=Ending(
                outcome=outcome,
                finished_at=self._ports.clock.now(),
                acknowledged_by=f"Hermes ({self._config.machine})",
                attempts=self._delivery.attempt,
                started_at=self._started_at if ticket else None,
                session_id=session_id or (ticket.session_id if ticket else None),
                usage=ended.usage if ended else None,
                reason=reason,
                may_have_run_twice=self._may_have_run_twice,
                is_demo=self._config.is_demo,
            ),
        )

    def _note_twice(self) -> None:
        if not self._may_have_run_twice:
            self._may_have_run_twice = True
            self._notes.append(answers.MAY_HAVE_RUN_TWICE)

    def _who_cancelled(self) -> str:
        return answers.cancelled_by(self.people.cancelled_by)
