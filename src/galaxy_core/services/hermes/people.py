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
from galaxy_core.domain.errors import DispatcherUnavailable, RequestNotFound
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
)
from galaxy_core.services._concurrency import wait_for_event
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

NOBODY_ANSWERED = "Nobody answered in time. Go on without it, as well as you can."


@define
class PeopleDesk:
    """Serves one running order.

    Commands stay in the `Control` port until they are carried out, so a crash in between loses
    none; one that the agent refuses as stale is done all the same.
    """

    _order_id: OrderId
    _ports: HermesPorts
    _config: HermesConfig
    _trail: Trail
    ticket: Ticket | None = None
    """The message that runs now; None while nothing was sent."""
    is_cancelled: bool = False
    """Whether a person wants the order to stop."""
    cancelled_by: str = ""
    cancel_reached_agent: anyio.Event = field(factory=anyio.Event, init=False)
    own_answers: dict[RequestId, Answer] = field(factory=dict, init=False)
    """Answers to requests that Hermes itself made."""
    _own_requests: set[RequestId] = field(factory=set, init=False)
    _waiting: dict[RequestId, tuple[PermissionRequested | QuestionAsked, float]] = field(
        factory=dict, init=False
    )
    _bell: anyio.Event = field(factory=anyio.Event, init=False)

    async def take(self, command: ControlCommand) -> None:
        """Carry out one command of a person; what fails for now stays pending."""
        if isinstance(command, CancelRequested):
            await self._take_cancel(command)
        else:
            await self._take_answer(command)

    async def _take_cancel(self, command: CancelRequested) -> None:
        self.is_cancelled, self.cancelled_by = True, command.by
        self._ring()
        if self.ticket is None or self.cancel_reached_agent.is_set():
            return
        try:
            await self._ports.dispatcher.cancel(self.ticket)
        except DispatcherUnavailable as error:
            log.warning("order.cancel_delayed", order_id=self._order_id, error=str(error))
        else:
            # The command itself is done when the order has been answered.
            self.cancel_reached_agent.set()

    async def _take_answer(self, command: AnswerGiven) -> None:
        if command.request_id in self._own_requests:
            self.own_answers[command.request_id] = command.answer
            await self.observe(RequestResolved(request_id=command.request_id, how="answered"))
        elif self.ticket is None:
            return
        else:
            try:
                await self._ports.dispatcher.answer(self.ticket, command.request_id, command.answer)
            except RequestNotFound:
                log.info("order.answer_stale", order_id=self._order_id)
            except DispatcherUnavailable as error:
                log.warning("order.answer_delayed", order_id=self._order_id, error=str(error))
                return
        await self._trail.try_record(
            self._trail.event(
                AuditType.REQUEST_RESOLVED,
                self._order_id,
                request_id=command.request_id,
                answer=_in_words(command.answer),
                by=command.by or None,
            )
        )
        await self._ports.control.done(command)

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
        self._own_requests.add(event.request_id)
        await self.observe(event)
        _, deadline = self._waiting[event.request_id]
        while event.request_id not in self.own_answers and not self.is_cancelled:
            if self._ports.clock.monotonic() >= deadline:
                await self.observe(RequestResolved(request_id=event.request_id, how="rejected"))
                break
            await self._sleep_until_rung()
        return self.own_answers.get(event.request_id, QuestionRejected())

    async def watch(self) -> None:
        """Reject what has waited too long, until cancelled."""
        while True:
            now = self._ports.clock.monotonic()
            for event, deadline in list(self._waiting.values()):
                if deadline <= now and event.request_id not in self._own_requests:
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
            self._waiting[event.request_id] = (event, self._ports.clock.monotonic() + 5.0)
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
