"""What watchers say and remember, kept in memory."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from galaxy_core.domain.health import Alert, AlertState
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.testing.faults import Faults


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
        async with self.faults.around("alerts.read", is_write=False):
            return tuple(self.pages.states)

    async def write(self, states: Sequence[AlertState]) -> None:
        async with self.faults.around("alerts.write"):
            self.pages.states = tuple(states)


@define(eq=False)
class MemoryAlertSink(AlertSink):
    """Somebody's pocket; its write is named `sink.send`."""

    heard: list[Alert] = field(factory=list)
    faults: Faults = field(factory=Faults, kw_only=True)

    async def send(self, alert: Alert) -> None:
        async with self.faults.around("sink.send"):
            self.heard.append(alert)
