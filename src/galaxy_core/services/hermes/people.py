"""Between a running order and people.

Their commands go in, the agent's requests go out, and none of those waits for ever.
"""

from __future__ import annotations

import math
from datetime import timedelta

import anyio
import structlog
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditType
from galaxy_core.domain.delivery import Ticket
from galaxy_core.domain.errors import DispatcherUnavailable, PermanentError, RequestNotFound
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import AnswerGiven, CancelRequested, ControlCommand
from galaxy_core.domain.run import (
    Answer,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    QuestionAsked,
    QuestionRejected,
    RequestResolved,
    RunEvent,
    RunStarted,
)
from galaxy_core.services._concurrency import either, wait_for_event
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

NOBODY_ANSWERED = "Nobody answered in time. Go on without it, as well as you can."
OWN_REQUEST = "recovery-"
"""How the ids of Hermes' own requests begin; opencode's begin otherwise (`per_`, `que_`)."""
REJECT_AGAIN = timedelta(seconds=5)


@define
class PeopleDesk:
    """Serves one order in a worker's hands.

    Commands stay in the `Control` port until they are carried out, so a crash in between loses
    none; what only ends with the order (a cancellation, an answer to a question of Hermes' own)
    is cleared by the settlement.
    """

    _order_id: OrderId
    _ports: HermesPorts
    _config: HermesConfig
    _trail: Trail
    ticket: Ticket | None = None
    """The message that the agent has, or is about to get; None while there is none."""
    cancelled: anyio.Event = field(factory=anyio.Event, init=False)
    """Set when a person wants the order to stop."""
    cancelled_by: str = ""
    cancel_reached_agent: anyio.Event = field(factory=anyio.Event, init=False)
    """Set when the agent was told to stop the message of `ticket`."""
    _own_answers: dict[RequestId, Answer] = field(factory=dict, init=False)
    _waiting: dict[RequestId, tuple[PermissionRequested | QuestionAsked, float]] = field(
        factory=dict, init=False
    )
    _bell: anyio.Event = field(factory=anyio.Event, init=False)
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    _is_closed: bool = field(default=False, init=False)

    @property
    def is_cancelled(self) -> bool:
        """Whether a person wants the order to stop."""
        return self.cancelled.is_set()

    # ---- commands

    def begin(self, ticket: Ticket) -> None:
        """From now on commands are meant for this message."""
        self.ticket = ticket
        self.cancel_reached_agent = anyio.Event()

    async def close(self) -> None:
        """Take no command any more, and wait for the one that is being carried out.

        Only then may the order be let go of: the session goes to the next order of the
        conversation, and stopping a run is stopping whatever runs in its session.
        """
        async with self._lock:
            self._is_closed = True

    def is_told(self, command: ControlCommand) -> bool:
        """Whether there is nothing more to do about a command than to end the order."""
        if isinstance(command, CancelRequested):
            return self.is_cancelled and (self.ticket is None or self.cancel_reached_agent.is_set())
        return command.request_id in self._own_answers

    async def take(self, command: ControlCommand) -> None:
        """Carry out one command of a person; what fails for now stays pending."""
        async with self._lock:
            if self._is_closed:
                return
            if isinstance(command, CancelRequested):
                self.cancelled_by = command.by
                self.cancelled.set()
                self._ring()
                await self._stop_run()
            else:
                await self._take_answer(command)

    async def _stop_run(self) -> None:
        """Have the agent stop; an agent that takes too long over it is left alone."""
        ticket, reached = self.ticket, self.cancel_reached_agent
        if ticket is None or reached.is_set():
            return
        try:
            await either(
                lambda: self._ports.dispatcher.cancel(ticket),
                lambda: self._ports.clock.sleep(self._config.cancel_budget),
            )
        except DispatcherUnavailable as error:
            log.warning("order.cancel_delayed", order_id=self._order_id, error=str(error))
        except PermanentError as error:
            # Nothing that trying again would help: the run is left when the budget is spent.
            log.error("order.cancel_failed", order_id=self._order_id, error=str(error))
            reached.set()
        else:
            reached.set()

    async def _take_answer(self, command: AnswerGiven) -> None:
        if command.request_id.startswith(OWN_REQUEST):
            # Kept until the order ends: a kill before the answer was acted upon must not ask again.
            is_new = command.request_id not in self._own_answers
            self._own_answers[command.request_id] = command.answer
            await self.observe(RequestResolved(request_id=command.request_id, how="answered"))
            if is_new:
                await self._trail.try_record(self._answered_line(command))
            return
        if self.ticket is None:
            return
        try:
            await self._ports.dispatcher.answer(self.ticket, command.request_id, command.answer)
        except RequestNotFound:
            log.info("order.answer_stale", order_id=self._order_id)
        except DispatcherUnavailable as error:
            log.warning("order.answer_delayed", order_id=self._order_id, error=str(error))
            return
        else:
            await self._trail.try_record(self._answered_line(command))
        await self._ports.control.done(command)

    def _answered_line(self, command: AnswerGiven) -> AuditEvent:
        return self._trail.event(
            AuditType.REQUEST_RESOLVED,
            self._order_id,
            request_id=command.request_id,
            answer=_in_words(command.answer),
            by=command.by or None,
        )

    # ---- what the agent wants to know

    async def observe(self, event: RunEvent) -> None:
        """Publish an event of the run, and keep account of what waits for people."""
        await self._ports.progress.publish(self._order_id, event)
        if isinstance(event, PermissionRequested | QuestionAsked):
            if event.request_id in self._waiting:
                return
            self._waiting[event.request_id] = (event, self._deadline())
            self._ring()
            await self._trail.try_record(self._asked_line(event))
        elif isinstance(event, RequestResolved):
            self._waiting.pop(event.request_id, None)
            self._ring()
        elif isinstance(event, RunStarted) and self.is_cancelled:
            # The wish came while the message was on its way: what was stopped then was nothing.
            async with self._lock:
                self.cancel_reached_agent = anyio.Event()
                await self._stop_run()

    def _asked_line(self, event: PermissionRequested | QuestionAsked) -> AuditEvent:
        if isinstance(event, PermissionRequested):
            return self._trail.event(
                AuditType.PERMISSION_REQUESTED,
                self._order_id,
                request_id=event.request_id,
                permission=event.permission,
                patterns=list(event.patterns),
            )
        return self._trail.event(
            AuditType.QUESTION_ASKED,
            self._order_id,
            request_id=event.request_id,
            questions=len(event.questions),
        )

    async def ask(self, event: QuestionAsked) -> Answer:
        """Ask a question of Hermes' own and wait for the answer, or for the time to run out."""
        deadline = self._deadline()
        if event.request_id not in self._own_answers:
            await self.observe(event)
        while event.request_id not in self._own_answers and not self.is_cancelled:
            if self._ports.clock.monotonic() >= deadline:
                await self.observe(RequestResolved(request_id=event.request_id, how="rejected"))
                break
            await self._sleep_until_rung()
        return self._own_answers.get(event.request_id, QuestionRejected())

    async def watch(self) -> None:
        """Reject what has waited too long, until cancelled."""
        while True:
            now = self._ports.clock.monotonic()
            for event, deadline in list(self._waiting.values()):
                if deadline <= now and not event.request_id.startswith(OWN_REQUEST):
                    await self._reject(event)
            await self._sleep_until_rung()

    async def _reject(self, event: PermissionRequested | QuestionAsked) -> None:
        answer: Answer = QuestionRejected()
        if isinstance(event, PermissionRequested):
            answer = PermissionReply(choice=PermissionChoice.REJECT, message=NOBODY_ANSWERED)
        self._waiting.pop(event.request_id, None)
        if self.ticket is None:
            return
        try:
            await self._ports.dispatcher.answer(self.ticket, event.request_id, answer)
        except RequestNotFound:
            return
        except DispatcherUnavailable:
            # The run itself will find out; the request is put back so that it is tried again.
            again = self._ports.clock.monotonic() + REJECT_AGAIN.total_seconds()
            self._waiting[event.request_id] = (event, again)
            return
        await self._trail.try_record(
            self._trail.event(
                AuditType.REQUEST_RESOLVED,
                self._order_id,
                request_id=event.request_id,
                answer="rejected: nobody answered in time",
            )
        )

    def _deadline(self) -> float:
        timeout = self._config.request_timeout
        if timeout is None:
            return math.inf
        return self._ports.clock.monotonic() + timeout.total_seconds()

    def _ring(self) -> None:
        # Whoever waits holds the old bell; a new one is there before any of them runs again.
        rung, self._bell = self._bell, anyio.Event()
        rung.set()

    async def _sleep_until_rung(self) -> None:
        """Until something changes here, or the next deadline."""
        now = self._ports.clock.monotonic()
        nearest = min((deadline for _, deadline in self._waiting.values()), default=math.inf)
        timeout = None if nearest == math.inf else timedelta(seconds=max(nearest - now, 0.0))
        await wait_for_event(self._bell, self._ports.clock, timeout)


def _in_words(answer: Answer) -> str:
    """For the trail: the choice, never what was typed."""
    if isinstance(answer, PermissionReply):
        return answer.choice.value
    return "rejected" if isinstance(answer, QuestionRejected) else "answered"
