"""Ports whose adapters come later than the things that need them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.operations import ControlCommand
from galaxy_core.ports.control import Control
from galaxy_core.ports.incident_sink import IncidentSink


@define
class IncidentRelay(IncidentSink):
    """Takes incidents before there is anybody to tell, and hands them on from then on.

    Adapters are made before the service that records their incidents.
    """

    _waiting: list[Incident] = field(factory=list, init=False)
    _target: IncidentSink | None = field(default=None, init=False)

    def report(self, incident: Incident) -> None:
        """Port `IncidentSink`."""
        if self._target is None:
            self._waiting.append(incident)
        else:
            self._target.report(incident)

    def hand_on_to(self, target: IncidentSink) -> None:
        """From now on `target` hears everything, what has waited first."""
        waiting, self._waiting, self._target = self._waiting, [], target
        for incident in waiting:
            target.report(incident)


@define
class LaterControl(Control):
    """A `Control` that is made when it is first used: looking at orders never does."""

    _make: Callable[[], Control]
    _made: Control | None = field(default=None, init=False)

    def _control(self) -> Control:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def send(self, command: ControlCommand) -> None:
        """Port `Control`."""
        await self._control().send(command)

    async def pending(self, order_id: OrderId | None = None) -> Sequence[ControlCommand]:
        """Port `Control`."""
        return await self._control().pending(order_id)

    async def done(self, command: ControlCommand) -> None:
        """Port `Control`."""
        await self._control().done(command)

    async def wait(self, timeout: timedelta | None = None) -> bool:  # noqa: ASYNC109  the port's
        """Port `Control`."""
        return await self._control().wait(timeout)
