"""One claimed order in Hermes' hands, from the claim until it is settled or given back."""

from __future__ import annotations

import enum
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
import structlog
import tenacity
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery, Settlement
from galaxy_core.domain.errors import GalaxyError, LeaseLost, TransientError
from galaxy_core.domain.operations import CancelRequested, ControlCommand
from galaxy_core.domain.response import Outcome
from galaxy_core.services.hermes import answers
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.hermes.execution import Execution, GiveBack, Result
from galaxy_core.services.hermes.intake import Intake
from galaxy_core.services.hermes.people import PeopleDesk
from galaxy_core.services.settlement import SettlementDesk
from galaxy_core.services.trail import Trail, preview

log = structlog.get_logger(__name__)

STORAGE_WAIT_FIRST = timedelta(milliseconds=200)
STORAGE_WAIT_CEILING = timedelta(seconds=10)
SETTLE_DEADLINE_S = 10.0
"""How long a decision may take to be written while Hermes is being stopped."""


class Left(enum.StrEnum):
    """Why a worker lets go of an order before it is settled."""

    LEASE_LOST = "lease_lost"
    STOPPING = "stopping"


@define
class Worker:
    """Works one delivery off.  `work` never raises but for cancellation from outside."""

    delivery: Delivery
    _ports: HermesPorts
    _config: HermesConfig
    _trail: Trail
    _desk: SettlementDesk
    people: PeopleDesk = field(init=False)
    outcome: Outcome | None = field(default=None, init=False)
    """How the order ended; None while it has not, or when it was given back."""
    _scope: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    _left: Left | None = field(default=None, init=False)
    _opening: list[AuditEvent] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.people = PeopleDesk(self.delivery.order.id, self._ports, self._config, self._trail)

    @property
    def was_left_running(self) -> bool:
        """Whether it was given back with a message at the agent."""
        return self._left is not None and self.outcome is None and self.people.ticket is not None

    @property
    def _order_id(self) -> str:
        return self.delivery.order.id

    def leave(self, why: Left) -> None:
        """Let go of the order: at once, unless its end is being written down."""
        self._left = self._left or why
        self._scope.cancel()

    def is_told(self, command: ControlCommand) -> bool:
        """Whether the order has been told this already and only has to act on it."""
        return isinstance(command, CancelRequested) and self.people.cancel_reached_agent.is_set()

    async def take(self, command: ControlCommand) -> None:
        """Hand over what a person said to this order."""
        await self.people.take(command)

    async def work(self) -> None:
        """Decide how the order ends and see to it that it does."""
        result: Result | None = None
        is_repeated = False
        try:
            with self._scope:
                result, is_repeated = await self._decide()
            if result is not None:
                await self._carry_out(result, is_repeated=is_repeated)
            elif self._left is Left.STOPPING:
                await self._give_back(
                    GiveBack(delay=timedelta(0), reason="Hermes is stopping"), is_counted=False
                )
        except LeaseLost:
            self._left = Left.LEASE_LOST
        if self._left is Left.LEASE_LOST and self.outcome is None:
            log.warning("order.lease_lost", order_id=self._order_id)
            await self._trail.try_record(
                self._trail.event(
                    AuditType.LEASE_LOST,
                    self._order_id,
                    severity=AuditSeverity.WARNING,
                    attempt=self.delivery.attempt,
                )
            )

    # ---- deciding

    async def _decide(self) -> tuple[Result, bool]:
        try:
            return await self._decide_or_raise()
        except LeaseLost:
            raise
        except TransientError as error:
            log.warning("order.attempt_failed", order_id=self._order_id, error=str(error))
            return self._try_later(str(error), error.retry_after), False
        except GalaxyError as error:
            return self._fail(str(error)), False
        except Exception as error:
            # Supervision point: a bug in an adapter or here must cost one attempt at one order,
            # not the daemon; what keeps failing ends as a dead letter that names it.
            log.exception("order.attempt_crashed", order_id=self._order_id)
            return self._try_later(f"an internal error: {type(error).__name__}", None), False

    async def _decide_or_raise(self) -> tuple[Result, bool]:
        delivery, ports = self.delivery, self._ports
        record = await ports.journal.read(delivery.order.id)
        intake = Intake(ports, self._config)
        settlement = await intake.decided_before(delivery, record)
        if settlement is not None:
            return settlement, True
        self._opening = self._opening_lines(is_known=bool(record.tickets))
        if not record.tickets:
            settlement = await intake.without_running(delivery)
            if settlement is not None:
                return settlement, False
        execution = Execution(delivery, ports, self._config, self._trail, self.people)
        self.people.ticket = record.last_ticket
        for command in await ports.control.pending(delivery.order.id):
            await self.people.take(command)
        return await execution.carry_out(record, self._opening), False

    def _opening_lines(self, *, is_known: bool) -> list[AuditEvent]:
        """Receipt and claim; they go into the trail with the next line that is written."""
        order, attempt = self.delivery.order, self.delivery.attempt
        lines = []
        if not is_known:
            lines.append(
                self._trail.event(
                    AuditType.ORDER_RECEIVED,
                    order.id,
                    sender=order.sender or None,
                    channel=order.channel,
                    chat_id=order.chat_id,
                    priority=order.priority.word,
                    payload_preview=preview(order.payload),
                    # Nothing had been sent by the attempts before: their receipt may have been
                    # written or not, so this one says that it may be a repeat.
                    is_repeated=attempt > 1 or None,
                )
            )
        lines.append(self._trail.event(AuditType.ORDER_CLAIMED, order.id, attempt=attempt))
        return lines

    def _try_later(self, reason: str, retry_after: timedelta | None) -> Result:
        policy, attempt = self._config.retry, self.delivery.attempt
        if policy.is_spent(attempt):
            return self._end(Outcome.DEAD, answers.gave_up(attempt, reason))
        delay = policy.delay(attempt, draw=random.random(), retry_after=retry_after)  # noqa: S311 - jitter, not a secret
        return GiveBack(delay=delay, reason=reason)

    def _fail(self, reason: str) -> Settlement:
        return self._end(Outcome.FAILED, reason)

    def _end(self, outcome: Outcome, reason: str) -> Settlement:
        return answers.without_running(
            self.delivery,
            outcome,
            reason,
            machine=self._config.machine,
            now=self._ports.clock.now(),
        )

    # ---- carrying the decision out

    async def _carry_out(self, result: Result, *, is_repeated: bool) -> None:
        if isinstance(result, GiveBack):
            await self._give_back(result, is_counted=True)
            return
        with anyio.CancelScope(shield=True) as scope:
            if self._left is not None:
                scope.deadline = anyio.current_time() + SETTLE_DEADLINE_S
            await self._persist(lambda: self._settle(result, is_repeated=is_repeated))
            self.outcome = result.ending.outcome
        log.info(
            "order.ended",
            order_id=self._order_id,
            outcome=result.ending.outcome.value,
            attempt=self.delivery.attempt,
        )

    async def _settle(self, settlement: Settlement, *, is_repeated: bool) -> None:
        if self._opening:
            await self._trail.record(*self._opening)
            self._opening.clear()
        await self._desk.settle(self.delivery, settlement, is_repeated=is_repeated)

    async def _give_back(self, result: GiveBack, *, is_counted: bool) -> None:
        line = self._trail.event(
            AuditType.ORDER_GIVEN_BACK,
            self._order_id,
            severity=AuditSeverity.WARNING if is_counted else AuditSeverity.INFO,
            attempt=self.delivery.attempt,
            reason=result.reason,
            delay_s=round(result.delay.total_seconds(), 3),
        )
        lines = [*self._opening, line]
        self._opening.clear()
        with anyio.move_on_after(SETTLE_DEADLINE_S, shield=True):
            await self._trail.try_record(*lines)
            await self._persist(
                lambda: self._ports.queue.nack(
                    self.delivery, delay=result.delay, reason=result.reason, is_counted=is_counted
                )
            )

    async def _persist(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write until it is written: a full disk keeps the order held, and loses nothing.

        Ends early only with the lease, or with the deadline of the surrounding scope.
        """
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(TransientError),
            wait=tenacity.wait_random_exponential(
                multiplier=STORAGE_WAIT_FIRST.total_seconds(),
                max=STORAGE_WAIT_CEILING.total_seconds(),
            ),
            sleep=lambda seconds: self._ports.clock.sleep(timedelta(seconds=seconds)),
            before_sleep=self._log_storage_trouble,
        ):
            with attempt:
                await write()

    def _log_storage_trouble(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.error("order.settle_delayed", order_id=self._order_id, error=str(error))
