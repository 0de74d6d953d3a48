"""One attempt at one order with the agent: to a decision how it ends, or to giving it back.

What is written down before what, so that a kill at any place neither loses nor repeats a message:

    prepare (nothing sent) -> lines into the trail and ticket into the journal -> send

The two in the middle are written side by side: nothing is sent before both stand, and a ticket
whose message never arrived has its lines written again, marked.  An attempt that finds a ticket
asks the agent about it first.  The decision itself is carried out
by `settlement`.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import anyio
import structlog
from attrs import define, evolve, field, frozen

from galaxy_core.domain.audit import AuditEvent, AuditType
from galaxy_core.domain.delivery import Delivery, Finding, RunRecord, Settlement, Ticket, TicketKind
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    DispatchRejected,
    GalaxyError,
    TransientError,
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
from galaxy_core.services.hermes.people import OWN_REQUEST, PeopleDesk
from galaxy_core.services.hermes.requests import build_request
from galaxy_core.services.trail import Opening, Trail, preview

log = structlog.get_logger(__name__)

FETCH_ATTEMPTS_FACTOR = 10
"""An order whose answer only has to be fetched may be claimed more often than `max_attempts`
(Hermes was restarted while the agent worked), but not without end: one that kills Hermes each
time is dead after this many times as many."""
SESSION_DATE_STEP = timedelta(minutes=1)
"""A conversation that was used less than this ago keeps its date, which only orders a list for
people: two syncs beside the agent's work slow the agent down."""
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
    _opening: Opening
    _people: PeopleDesk
    _record: RunRecord = field(factory=RunRecord, init=False)
    _started_at: datetime = field(init=False)
    _is_replaced: bool = field(default=False, init=False)
    _may_have_run_twice: bool = field(default=False, init=False)
    _is_session_used: bool = field(default=False, init=False)
    """Whether the conversation goes on in its session, and its date is to be written anew."""

    def __attrs_post_init__(self) -> None:
        self._started_at = self._ports.clock.now()

    @property
    def _order(self) -> Order:
        return self._delivery.order

    def take_over(self, record: RunRecord) -> None:
        """Know what earlier attempts wrote down; the answer tells of it."""
        self._record = record
        if record.tickets:
            self._people.ticket = record.tickets[-1]
            self._started_at = record.tickets[0].created_at or self._started_at
        self._is_replaced = any(ticket.is_session_replaced for ticket in record.tickets)
        self._may_have_run_twice = self._prompts > 1

    @property
    def _prompts(self) -> int:
        """How often the order itself, not a continuation, was about to be sent."""
        return sum(ticket.kind is TicketKind.PROMPT for ticket in self._record.tickets)

    async def carry_out(self) -> Result:
        """Run the order, or take up a run that an earlier attempt began.

        Raises `LeaseLost`, `StorageUnavailable`.
        """
        try:
            ticket = self._record.last_ticket
            if ticket is None:
                conversation = self._order.conversation(self._config.machine)
                session = await self._ports.sessions.get(conversation)
                return await self._send(TicketKind.PROMPT, session)
            return await self._take_up(ticket)
        except DispatchRejected as error:
            return self.end(Outcome.FAILED, reason=str(error))
        except DispatcherUnavailable as error:
            return self.later(str(error), retry_after=error.retry_after)

    # ---- an earlier attempt has written a ticket

    async def _take_up(self, ticket: Ticket) -> Result:
        finding = await self._find(ticket)
        self._opening.lines.append(
            self._trail.event(
                AuditType.ORDER_EXECUTION_RESUMED,
                self._order.id,
                attempt=self._delivery.attempt,
                finding=finding.value,
                session_id=ticket.session_id,
                message_id=ticket.message_id,
            )
        )
        session = await self._session_of(ticket)
        if finding is Finding.UNKNOWN:
            return await self._send(ticket.kind, session, unsent=ticket)
        if finding is Finding.CANNOT_TELL:
            return await self._send_blindly(session)
        await self._opening.write(self._trail)
        if self._delivery.attempt > self._config.retry.max_attempts * FETCH_ATTEMPTS_FACTOR:
            return self._dead("it was begun again and again without coming to an end")
        request = build_request(self._order, session, self._config, ticket.kind)
        # A message that broke off is not sent again by this, it is read: what there is of an
        # answer, and what went wrong.
        ended = await self._watch(request, ticket)
        has_just_broken = finding is not Finding.BROKEN_OFF and ended.retry_after is not None
        if ended.verdict is not Verdict.BROKEN_OFF or has_just_broken:
            return self._judge(ended)
        # Nothing was sent by this attempt, so there is nothing to wait for.
        return await self._recover(ticket, ended)

    async def _find(self, ticket: Ticket) -> Finding:
        """Ask the agent; unless it has the message, the trail may lack the receipt.

        Whoever wrote the ticket may have died before the lines that are written beside it.
        """
        finding = Finding.CANNOT_TELL
        try:
            finding = await self._ports.dispatcher.find(ticket)
        finally:
            if finding in {Finding.UNKNOWN, Finding.CANNOT_TELL}:
                self._opening.lines.insert(0, self._trail.receipt(self._delivery, is_repeated=True))
        return finding

    async def _send_blindly(self, session: Session) -> Result:
        """The agent cannot be asked: try again, a bounded number of times, and say so.

        Counted by tickets, not by attempts: one that was given back by a stop counts as well.
        """
        if self._prompts >= self._config.retry.max_attempts:
            return self._dead("each attempt was interrupted")
        self._may_have_run_twice = True
        return await self._send(TicketKind.PROMPT, session)

    async def _recover(self, ticket: Ticket, ended: RunEnded) -> Result:
        """The run broke off in the middle: what the policy says."""
        policy = self._config.recovery
        if policy is RecoveryPolicy.ASK and not self._people.is_cancelled:
            is_wanted = await self._ask_whether_to_go_on(ticket)
            policy = RecoveryPolicy.CONTINUE if is_wanted else RecoveryPolicy.FAIL
        if self._people.is_cancelled:
            return self._cancelled(ended)
        if policy is RecoveryPolicy.FAIL:
            return self.end(Outcome.FAILED, ended=ended, reason=ended.reason or answers.BROKEN_OFF)
        if self._delivery.attempt > self._config.retry.max_attempts:
            return self._dead(ended.reason or answers.BROKEN_OFF, ended)
        return await self._send(TicketKind.CONTINUATION, await self._session_of(ticket))

    async def _ask_whether_to_go_on(self, ticket: Ticket) -> bool:
        answer = await self._people.ask(
            QuestionAsked(
                request_id=RequestId(f"{OWN_REQUEST}{ticket.message_id}"),
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
        self, kind: TicketKind, session: Session | None, *, unsent: Ticket | None = None
    ) -> Result:
        """Write down where the message will be found, then send it.

        `unsent` is a ticket whose message never arrived: it is used again where its session is
        still there, so that a late arrival would be the same message.
        """
        attempt = self._delivery.attempt
        if self._people.is_cancelled:
            return self._cancelled()
        if attempt > self._config.retry.max_attempts:
            return self._dead("the last attempt was interrupted")
        outgoing = await self._open_outgoing()
        request = build_request(self._order, session, self._config, kind, outgoing)
        ticket = await self._ports.dispatcher.prepare(request, session, attempt=attempt, kind=kind)
        if ticket.is_session_replaced:
            self._is_replaced = True
            if self._record.tickets:
                # The messages of earlier attempts went with their session: "go on" would mean
                # nothing in this one, and whether the order was begun cannot be told any more.
                self._may_have_run_twice = True
                kind = TicketKind.PROMPT
                request = build_request(self._order, session, self._config, kind, outgoing)
                ticket = evolve(ticket, kind=kind)
        if unsent is not None and unsent.session_id == ticket.session_id:
            ticket = unsent
        # From here on a cancellation is about this message, also while it is written down.
        self._people.begin(ticket)
        await self._write_down(ticket, session, is_new=ticket is not unsent)
        if self._people.cancelled.is_set():
            return self._cancelled()
        # Somebody may have taken the order over while this process stood still in a write, and
        # have found no ticket.
        await self._ports.queue.renew(self._delivery)
        return self._judge(await self._watch(request, ticket))

    async def _open_outgoing(self) -> Path | None:
        """The folder whose files go back with the answer; None where nobody would get them."""
        files = self._ports.files
        if files is None or not self._order.channel or not self._order.chat_id:
            return None
        try:
            conversation = self._order.conversation(self._config.machine)
            return await files.open_outgoing(self._order.id, conversation)
        except TransientError as error:
            # The order itself can be carried out without.
            log.warning("order.no_outgoing_folder", order_id=self._order.id, error=str(error))
            return None

    async def _write_down(self, ticket: Ticket, session: Session | None, *, is_new: bool) -> None:
        """Everything that must be on disk before the agent hears of the message."""
        now = self._ports.clock.now()
        conversation = self._order.conversation(self._config.machine)
        # Read again: a person may have chosen an agent or a model while the session was made.
        known = await self._ports.sessions.get(conversation)
        used = evolve(
            known or Session(conversation=conversation),
            session_id=ticket.session_id,
            dispatcher=ticket.dispatcher,
            updated_at=now,
        )
        lines = self._start_lines(ticket, session)

        dated = evolve(ticket, created_at=ticket.created_at or now)
        writes: list[Callable[[], Awaitable[None]]] = []
        if is_new:
            writes.append(lambda: self._ports.journal.write_ticket(self._order.id, dated))
        if known is not None and evolve(known, updated_at=now) == used:
            # Nothing but its date changes: that is written while the agent works, if at all.
            is_old = known.updated_at is None or now - known.updated_at >= SESSION_DATE_STEP
            self._is_session_used = is_old
        else:
            writes.append(lambda: self._ports.sessions.put(used))
        # Side by side, so that they share the disk's time.  A kill that leaves the ticket without
        # the lines leaves no message: the next attempt finds none, and writes the lines.
        await together(*writes, lambda: self._opening.write(self._trail, *lines))

    async def _date_session(self, ticket: Ticket) -> None:
        """Note when the conversation was used last."""
        conversation = self._order.conversation(self._config.machine)
        try:
            known = await self._ports.sessions.get(conversation)
            if known is not None and known.session_id == ticket.session_id:
                now = self._ports.clock.now()
                await self._ports.sessions.put(evolve(known, updated_at=now))
        except TransientError as error:
            # Only the order in which conversations are listed depends on it.
            log.warning("session.date_not_written", order_id=self._order.id, error=str(error))

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
                attempt=self._delivery.attempt,
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
        ended: RunEnded | None = None
        failure: GalaxyError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._people.watch, name="request-deadlines")
            tasks.start_soon(self._leave_when_cancelled, tasks.cancel_scope, name="cancel-budget")
            if self._is_session_used:
                tasks.start_soon(self._date_session, ticket, name="session-date")
            try:
                async with aclosing(self._ports.dispatcher.run(request, ticket)) as events:
                    async for event in events:
                        if isinstance(event, RunEnded):
                            ended = event
                        await self._people.observe(event)
            except GalaxyError as error:  # raised below: a task group would wrap it in a group
                failure = error
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure
        if ended is None and self._people.is_cancelled:
            ended = RunEnded(verdict=Verdict.CANCELLED, session_id=ticket.session_id)
            await self._people.observe(ended)
        if ended is None:
            raise DispatcherUnavailable("the agent's run ended without a result")
        return ended

    async def _leave_when_cancelled(self, scope: anyio.CancelScope) -> None:
        await self._people.cancelled.wait()
        await self._ports.clock.sleep(self._config.cancel_budget)
        scope.cancel()

    # ---- decisions

    def _judge(self, ended: RunEnded) -> Result:
        if self._people.is_cancelled and ended.verdict in {Verdict.CANCELLED, Verdict.BROKEN_OFF}:
            return self._cancelled(ended)
        match ended.verdict:
            case Verdict.SUCCEEDED:
                return self.end(Outcome.SUCCEEDED, ended=ended)
            case Verdict.CANCELLED:
                return self.end(Outcome.CANCELLED, ended=ended, reason=answers.ABORTED)
            case Verdict.BROKEN_OFF if self._config.recovery is not RecoveryPolicy.FAIL:
                reason = ended.reason or answers.BROKEN_OFF
                return self.later(reason, retry_after=ended.retry_after, ended=ended)
            case Verdict.FAILED | Verdict.BROKEN_OFF:
                return self.end(Outcome.FAILED, ended=ended, reason=ended.reason)

    def later(
        self, reason: str, *, retry_after: timedelta | None = None, ended: RunEnded | None = None
    ) -> Result:
        """Try again after a while, or give up after the last attempt."""
        policy, attempt, people = self._config.retry, self._delivery.attempt, self._people
        is_stopped = people.ticket is None or people.cancel_reached_agent.is_set()
        if people.is_cancelled and (is_stopped or policy.is_spent(attempt)):
            return self._cancelled(ended)
        if policy.is_spent(attempt):
            return self._dead(reason, ended)
        # The limit counts every claim, so that an order that kills its workers ends; the wait
        # counts what failed, for a worker that was killed says nothing about the agent.
        failures = self._delivery.failures + 1
        delay = policy.delay(failures, draw=random.random(), retry_after=retry_after)  # noqa: S311 - jitter, not a secret
        return GiveBack(delay=delay, reason=reason)

    def _dead(self, reason: str, ended: RunEnded | None = None) -> Settlement:
        attempts = self._delivery.attempt
        return self.end(Outcome.DEAD, ended=ended, reason=answers.gave_up(attempts, reason))

    def _cancelled(self, ended: RunEnded | None = None) -> Settlement:
        reason = answers.cancelled_by(self._people.cancelled_by)
        return self.end(Outcome.CANCELLED, ended=ended, reason=reason)

    def end(
        self, outcome: Outcome, *, ended: RunEnded | None = None, reason: str | None = None
    ) -> Settlement:
        """Decide how the order ends, and put it into words."""
        ticket = self._people.ticket
        session_id = ended.session_id if ended else None
        text = ended.text if ended else ""
        return Settlement(
            order_id=self._order.id,
            text=answers.wording(outcome, text=text, reason=reason, notes=self._notes()),
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

    def _notes(self) -> tuple[str, ...]:
        """What the reader of the answer has to know about it."""
        notes = {
            answers.DEMO: self._config.is_demo,
            answers.SESSION_REPLACED: self._is_replaced,
            answers.MAY_HAVE_RUN_TWICE: self._may_have_run_twice,
        }
        return tuple(note for note, is_due in notes.items() if is_due)
