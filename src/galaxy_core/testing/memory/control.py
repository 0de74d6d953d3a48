"""Commands to orders, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import AnswerGiven, CancelRequested, ControlCommand
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.control import Control
from galaxy_core.testing.faults import Faults
from galaxy_core.testing.signals import Signal, wait_until

_Key = tuple[OrderId, RequestId | None]


@define(eq=False)
class CommandBox:
    """The commands themselves: what outlives every process that opens it."""

    changes: Signal = field(factory=Signal)
    commands: dict[_Key, tuple[int, ControlCommand]] = field(factory=dict)
    """With the number of the change by which each came in."""

    def put(self, command: ControlCommand) -> None:
        """Add the command in place of one with the same meaning."""
        key = _key(command)
        self.commands.pop(key, None)
        self.commands[key] = (self.changes.version + 1, command)
        self.changes.notify()

    def cancelled_at(self, order_id: OrderId) -> int | None:
        """Number of the change by which the wish to cancel came in; None when there is none."""
        found = self.commands.get((order_id, None))
        return found[0] if found else None


def _key(command: ControlCommand) -> _Key:
    return (command.order_id, None if isinstance(command, CancelRequested) else command.request_id)


@define(eq=False)
class MemoryControl(Control):
    """One process's view of a box of commands; make several over one box to play several."""

    _clock: Clock
    box: CommandBox = field(factory=CommandBox)
    faults: Faults = field(factory=Faults, kw_only=True)
    _seen: int = field(default=0, init=False)

    async def send(self, command: ControlCommand) -> None:
        async with self.faults.around("control.send"):
            self.box.put(command)

    async def pending(self, order_id: OrderId | None = None) -> Sequence[ControlCommand]:
        async with self.faults.around("control.pending", is_write=False):
            return [
                command
                for _, command in self.box.commands.values()
                if order_id is None or command.order_id == order_id
            ]

    async def done(self, command: ControlCommand) -> None:
        async with self.faults.around("control.done"):
            found = self.box.commands.get(_key(command))
            # A newer command with the same meaning has not been carried out yet.
            if found is not None and _is_covered(found[1], by=command):
                del self.box.commands[_key(command)]
                self.box.changes.notify()

    async def wait(self, timeout: timedelta | None = None) -> bool:
        # By change, not by content: a command that this process leaves alone must not make it
        # spin, and one that came in between `pending` and `wait` must not be slept through.
        seen = self._seen
        is_woken = await wait_until(
            lambda: self._newest() > seen,
            signal=self.box.changes,
            clock=self._clock,
            timeout=timeout,
        )
        if is_woken:
            self._seen = self._newest()
        return is_woken

    def _newest(self) -> int:
        return max((number for number, _ in self.box.commands.values()), default=0)


def _is_covered(waiting: ControlCommand, *, by: ControlCommand) -> bool:
    if isinstance(waiting, AnswerGiven):
        return waiting == by
    return True
