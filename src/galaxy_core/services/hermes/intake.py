"""What is decided about a claimed order before any agent hears of it."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from galaxy_core.domain.delivery import Delivery, RunRecord, Settlement
from galaxy_core.domain.operations import CancelRequested, ControlCommand
from galaxy_core.domain.policy import is_expired, why_refused
from galaxy_core.domain.response import Ending, Outcome
from galaxy_core.services.hermes import answers
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts


@define
class Intake:
    """Finds the orders that end without being run."""

    _ports: HermesPorts
    _config: HermesConfig

    async def decided_before(self, delivery: Delivery, record: RunRecord) -> Settlement | None:
        """The decision that an earlier attempt wrote down, or whose response it committed."""
        if record.settlement is not None:
            return record.settlement
        response = await self._ports.responses.get(delivery.order.id)
        if response is None:
            return None
        # The journal is gone but the response stands: it is the order's one answer.  How it
        # ended is no longer known exactly; that there is an answer is.
        return Settlement(
            order_id=delivery.order.id,
            text=response.text,
            ending=Ending(
                outcome=Outcome.SUCCEEDED,
                finished_at=response.finished_at,
                acknowledged_by=f"Hermes ({response.machine})",
                attempts=delivery.attempt,
            ),
        )

    async def without_running(
        self, delivery: Delivery, commands: Sequence[ControlCommand]
    ) -> Settlement | None:
        """How an order ends that was never sent to the agent and must not be; None: run it.

        `commands` are what people have said to it so far.
        """
        order = delivery.order
        now = self._ports.clock.now()

        def end(outcome: Outcome, reason: str) -> Settlement:
            return answers.without_running(
                delivery, outcome, reason, machine=self._config.machine, now=now
            )

        for command in commands:
            if isinstance(command, CancelRequested):
                return end(Outcome.CANCELLED, answers.cancelled_by(command.by))
        if is_expired(order, now) and order.expires_at is not None:
            return end(Outcome.EXPIRED, answers.expired(order.expires_at))
        refusal = why_refused(order, self._config.order_limits)
        if refusal is not None:
            return end(Outcome.FAILED, refusal)
        names = self._config.names
        if names is not None and not order.is_for(names):
            return end(
                Outcome.FAILED, answers.wrong_machine(order.target or "", self._config.machine)
            )
        unmet = await self._unmet(delivery)
        return end(Outcome.FAILED, unmet) if unmet else None

    async def _unmet(self, delivery: Delivery) -> str | None:
        """Why the orders it had to wait for do not let it run; None when they do."""
        for order_id in delivery.order.after:
            view = await self._ports.catalogue.get(order_id)
            if view is None or view.ending is None:
                return answers.unmet(order_id, None)
            if view.ending.outcome is not Outcome.SUCCEEDED:
                return answers.unmet(order_id, view.ending.outcome.value)
        return None
