"""However many orders wait, nothing that a daemon does again and again reads more than some."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from galaxy_adapters.queue_filesystem import FilesystemOrderCatalogue, _looking
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.people import Role
from galaxy_core.domain.state import OrderState
from galaxy_core.services.backlog import ALL_UP_TO, SOME
from galaxy_core.services.folders import Folder
from galaxy_core.services.gateway import limits
from galaxy_core.services.gateway.commands.looking import queue
from galaxy_core.services.gateway.limits import PersonLimits
from galaxy_core.services.gateway.watching import OrderWatcher
from galaxy_core.services.health import Pulse, probes
from galaxy_core.services.insight.living import LivingOrders
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.factories import make_message
from galaxy_core.testing.memory import MemoryControl, MemoryNoteStore, MemoryPresence, NoteBox
from galaxy_core.wire.layout import Layout

NUMBER = ALL_UP_TO + 1


def some(**fields: object) -> Any:  # noqa: ANN401 - stands for settings and ports
    """Of settings and ports what the looks ask for."""
    return SimpleNamespace(**fields)


class Crowd:
    """A machine with so many waiting orders that not all are looked at, and all who look."""

    def __init__(self, folder: Path) -> None:
        self.layout, self.clock = Layout(folder), ManualClock()
        self.layout.orders.mkdir(parents=True)
        order = {"type": "galaxy_order", "payload": "x", "not_before": "2099-01-01T00:00:00+00:00"}
        for number in range(NUMBER):
            (self.layout.orders / f"o{number}.json").write_text(json.dumps(order))
        self.catalogue = FilesystemOrderCatalogue(
            self.layout, machine="lab", clock=self.clock, control=MemoryControl(self.clock)
        )
        self.machine = some(
            name="lab", catalogue=self.catalogue, layout=self.layout, names=frozenset({"lab"})
        )
        self.ports = some(
            machines={"lab": self.machine},
            folders=[self.machine],
            sharing=lambda _machine: [self.machine],
            channels={},
            clock=self.clock,
            notes=MemoryNoteStore(self.clock, NoteBox()),
        )
        self.config = some(waiting_orders=50, orders_per_minute=50)
        nobody: Any = None
        self.watcher = OrderWatcher(self.config, self.ports, nobody, nobody, nobody)

    async def gateway_watching(self) -> None:
        """The gateway's look at orders that came by another way."""
        await self.watcher._look()

    async def button(self) -> None:
        """A button of an order that is not watched."""
        assert await self.watcher.find("unknown") is None

    async def person_limit(self) -> None:
        """Each message."""
        await PersonLimits(self.config, self.clock).why_not(make_message(), self.machine)

    async def new_message(self) -> None:
        """Each message: whether it has become an order before."""
        order_id = OrderId("galaxy-telegram-1-2")
        assert await self.catalogue.get(order_id, only_enqueued=True) is None

    async def queue_health(self) -> None:
        """Hermes' look at its queue, and `galaxy health`."""
        look = probes.queue_look("lab", self.catalogue, self.clock, timedelta(minutes=1))
        (sight,) = await look()
        assert f"({NUMBER} on lab wait)" in sight.check.text

    async def hermes_health(self) -> None:
        """The gateway's look at a Hermes that does not run."""
        pulse = Pulse(MemoryPresence(), self.clock)
        await probes.HermesLook("lab", pulse, self.catalogue, self.clock)()

    async def page(self) -> None:
        """The dashboard and `/metrics`."""
        seen = await LivingOrders(self.clock).of(Folder((self.machine,)))
        assert seen.number_waiting == NUMBER

    async def queue_command(self) -> None:
        """`/queue`."""
        call = some(tools=some(ports=self.ports), message=make_message(), role=Role.OWNER)
        text = await queue(call)
        assert f"0 running, {NUMBER} waiting" in text
        assert text.endswith(f"… and {NUMBER - 15} more")

    async def status(self) -> None:
        """`/status`, and the number on the page."""
        assert await self.catalogue.count() == {OrderState.PENDING: NUMBER}


LOOKS: dict[Callable[[Crowd], Awaitable[None]], int] = {
    Crowd.gateway_watching: SOME,
    Crowd.button: SOME,
    Crowd.person_limit: limits.LOOKED_AT,
    Crowd.new_message: 1,
    Crowd.queue_health: 2 * SOME,
    Crowd.hermes_health: 20,
    Crowd.page: 2 * SOME,
    Crowd.queue_command: 2 * SOME,
    Crowd.status: 0,
}


@pytest.mark.parametrize("look, files", LOOKS.items(), ids=[each.__name__ for each in LOOKS])
async def test_regular_look_reads_few_files(
    look: Callable[[Crowd], Awaitable[None]],
    files: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The number is the same for any number of waiting orders, and stands beside each look."""
    crowd, read = Crowd(tmp_path), 0

    def counting(name: str) -> None:
        real = getattr(_looking, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal read
            read += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(_looking, name, call)

    counting("read_order")
    counting("read_plain_file")
    await look(crowd)
    assert read == files
