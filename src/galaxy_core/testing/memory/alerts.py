"""What watchers say and remember, kept in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import timedelta

from attrs import define, field

from galaxy_core.domain.errors import StorageUnavailable, TransientError
from galaxy_core.domain.health import Alert, AlertState
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.ports.clock import Clock
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.faults import Faults

_PATIENCE = timedelta(seconds=8)


@define(eq=False)
class AlertPages:
    """A watcher's book itself: what outlives every process that opens it."""

    states: Sequence[AlertState] = ()


@define(eq=False)
class MemoryAlertBook(AlertBook):
    """One process's view of a book; its write is named `alerts.write`."""

    pages: AlertPages = field(factory=AlertPages)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def read(self) -> Sequence[AlertState]:
        with contextlib.suppress(StorageUnavailable):
            async with self.faults.around("alerts.read", is_write=False):
                return tuple(self.pages.states)
        return ()

    async def write(self, states: Sequence[AlertState]) -> None:
        async with self.faults.around("alerts.write"):
            self.pages.states = tuple(states)


@define(eq=False)
class MemoryAlertSink(AlertSink):
    """Somebody's pocket; its write is named `sink.send`."""

    heard: list[Alert] = field(factory=list)
    faults: Faults = field(factory=Faults, kw_only=True)
    clock: Clock = field(factory=ManualClock, kw_only=True)
    is_silent: bool = field(default=False, kw_only=True)
    """Whether every call is left without an answer, and given up after a while."""

    async def send(self, alert: Alert) -> None:
        async with self.faults.around("sink.send"):
            if self.is_silent:
                await self.clock.sleep(_PATIENCE)
                raise TransientError("nobody answers")
            self.heard.append(alert)
