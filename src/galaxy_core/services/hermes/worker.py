"""One claimed order in Hermes' hands, from the claim until it is settled or given back."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
import structlog
import tenacity
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery, Settlement
from galaxy_core.domain.errors import GalaxyError, LeaseLost, TransientError
from galaxy_core.domain.operations import ControlCommand
from galaxy_core.domain.response import Outcome
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.hermes.execution import Execution, GiveBack, Result
from galaxy_core.services.hermes.intake import Intake
from galaxy_core.services.hermes.people import PeopleDesk
from galaxy_core.services.settlement import Closing, SettlementDesk
from galaxy_core.services.trail import Opening, Trail

log = structlog.get_logger(__name__)

STORAGE_WAIT_FIRST = timedelta(milliseconds=200)
STORAGE_WAIT_CEILING = timedelta(seconds=10)
AFTER_A_BUG = timedelta(minutes=1)
"""Wait before an order whose end could not be written for an unexpected reason is tried again."""


class Left(enum.StrEnum):
    """Why a worker lets go of an order before it is settled."""

    LEASE_LOST = "lease_lost"
    STOPPING = "stopping"


@define
class Worker:
    """Works one delivery off.  `work` raises nothing but cancellation from outside."""

    delivery: Delivery
    _ports: HermesPorts
    _config: HermesConfig
    _trail: Trail
    _desk: SettlementDesk
    outcome: Outcome | None = field(default=None, init=False)
    """How the order ended; None while it has not, or when it was given back."""
    _opening: Opening = field(factory=Opening, init=False)
    _people: PeopleDesk = field(init=False)
    _execution: Execution = field(init=False)
    _deciding: anyio.CancelScope = field(factory=anyio.CancelScope, init=False)
    _writing: anyio.CancelScope | None = field(default=None, init=False)
    _left: Left | None = field(default=None, init=False)
    _is_given_back: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        order, ports, config, trail = self.delivery.order, self._ports, self._config, self._trail
        self._people = PeopleDesk(order.id, ports, config, trail)
        self._execution = Execution(
            self.delivery, ports, config, trail, self._opening, self._people
        )

    @property
    def was_left_running(self) -> bool:
        """Whether it was let go of with a message at the agent."""
        return self._left is not None and self.outcome is None and self._people.ticket is not None

    @property
    def _order_id(self) -> str:
        return self.delivery.order.id

    def leave(self, why: Left) -> None:
        """Let go of the order: at once, or soon if its end is being written down."""
        self._left = self._left or why
        self._deciding.cancel()
        self._hurry()

    def _hurry(self) -> None:
        """Writing may go on for ever while the disk is full, but not when Hermes is to stop."""
        if self._left is not None and self._writing is not None:
            deadline = anyio.current_time() + self._config.stop_deadline.total_seconds()
            self._writing.deadline = min(self._writing.deadline, deadline)

    def is_told(self, command: ControlCommand) -> bool:
        """Whether the order has been told this already and only has to act on it."""
        return self._people.is_told(command)

    async def take(self, command: ControlCommand) -> None:
        """Hand over what a person said to this order."""
        await self._people.take(command)

    async def work(self) -> None:
        """Decide how the order ends and see to it that it does."""
        try:
            result: Result | None = None
            is_repeated = False
            with self._deciding:
                result, is_repeated = await self._decide()
            # Before anybody else may have the order, or its session.
            await self._people.close()
            if result is None and self._left is Left.STOPPING:
                result = GiveBack(delay=timedelta(0), reason="Hermes is stopping")
            if isinstance(result, GiveBack):
                await self._give_back(result, is_counted=self._left is not Left.STOPPING)
            elif result is not None:
                await self._settle(result, is_repeated=is_repeated)
        except LeaseLost:
            self._left = Left.LEASE_LOST
        if self._left is Left.LEASE_LOST and self.outcome is None and not self._is_given_back:
            await self._note_lost_lease()

    async def _note_lost_lease(self) -> None:
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
            return self._execution.later(str(error), retry_after=error.retry_after), False
        except GalaxyError as error:
            return self._execution.end(Outcome.FAILED, reason=str(error)), False
        except Exception as error:
            # Supervision point: a bug in an adapter or here must cost one attempt at one order,
            # not the daemon; what keeps failing ends as a dead letter that names it.
            log.exception("order.attempt_crashed", order_id=self._order_id)
            return self._execution.later(f"an internal error ({type(error).__name__})"), False

    async def _decide_or_raise(self) -> tuple[Result, bool]:
        delivery, ports = self.delivery, self._ports
        record = await ports.journal.read(delivery.order.id)
        intake = Intake(ports, self._config)
        settlement = await intake.decided_before(delivery, record)
        if settlement is not None:
            return settlement, True
        self._opening.lines.extend(self._opening_lines(is_known=bool(record.tickets)))
        commands = await ports.control.pending(delivery.order.id)
        if not record.tickets:
            settlement = await intake.without_running(delivery, commands)
            if settlement is not None:
                return settlement, False
        self._execution.take_over(record)
        for command in commands:
            await self._people.take(command)
        return await self._execution.carry_out(), False

    def _opening_lines(self, *, is_known: bool) -> list[AuditEvent]:
        """Receipt and claim; they go into the trail with the next line that is written."""
        order, attempt = self.delivery.order, self.delivery.attempt
        lines = []
        if not is_known:
            lines.append(self._trail.receipt(self.delivery))
        lines.append(self._trail.event(AuditType.ORDER_CLAIMED, order.id, attempt=attempt))
        return lines

    # ---- carrying the decision out

    async def _settle(self, settlement: Settlement, *, is_repeated: bool) -> None:
        closing = Closing(self.delivery, settlement, self._opening, is_repeated)
        try:
            await self._write(lambda: self._desk.carry_out(closing))
        except LeaseLost:
            raise
        except Exception:
            # Supervision point: an end that cannot be written for an unexpected reason must not
            # take the daemon down, now and at every start; the order goes back and is looked at.
            log.exception("order.settle_crashed", order_id=self._order_id)
        if closing.is_over:
            self.outcome = closing.settlement.ending.outcome
            log.info(
                "order.ended",
                order_id=self._order_id,
                outcome=self.outcome.value,
                attempt=self.delivery.attempt,
            )
        elif self._left is None:
            reason = "its end could not be written down; the log says why"
            await self._give_back(GiveBack(delay=AFTER_A_BUG, reason=reason), is_counted=True)

    async def _give_back(self, result: GiveBack, *, is_counted: bool) -> None:
        line = self._trail.event(
            AuditType.ORDER_GIVEN_BACK,
            self._order_id,
            severity=AuditSeverity.WARNING if is_counted else AuditSeverity.INFO,
            attempt=self.delivery.attempt,
            reason=result.reason,
            delay_s=round(result.delay.total_seconds(), 3),
        )

        async def nack() -> None:
            await self._ports.queue.nack(
                self.delivery, delay=result.delay, reason=result.reason, is_counted=is_counted
            )
            self._is_given_back = True

        await self._write(lambda: self._opening.try_write(self._trail, line))
        while not self._is_given_back:
            try:
                if not await self._write(nack):
                    break
            except LeaseLost:
                raise
            except Exception:
                # Supervision point: an order that nobody works on must not stay held.
                log.exception("order.give_back_crashed", order_id=self._order_id)
                await self._ports.clock.sleep(STORAGE_WAIT_CEILING)

    async def _write(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Write until it is written: a full disk keeps the order held, and loses nothing.

        False when it was given up because Hermes is to stop: the lease ends with the process,
        and the next one finds out how far this one came.
        """
        with anyio.CancelScope(shield=True) as self._writing:
            self._hurry()
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
        is_written = not self._writing.cancelled_caught
        self._writing = None
        return is_written

    def _log_storage_trouble(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log.error("order.settle_delayed", order_id=self._order_id, error=str(error))
