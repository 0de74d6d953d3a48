"""The gateway's sign of life: who watches it sees it beat, and how its channels get on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from attrs import define, evolve

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.domain.policy import HEARTBEAT_EVERY
from galaxy_core.services.gateway.caduceus import Caduceus
from galaxy_core.testing.memory import MemoryPresence
from tests.unit.galaxy_core.services.gateway.world import GatewayWorld

pytestmark = pytest.mark.anyio


@define
class Line:
    """A channel's other side."""

    trouble: str | None = None

    def sign(self) -> ChannelSign:
        """Port `Reporting`."""
        return ChannelSign(name="memory", trouble=self.trouble)


async def test_it_beats_in_every_folder_while_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each folder that it serves, until it was asked to stop, which it says."""
    world, line = GatewayWorld(tmp_path), Line()
    presences = [MemoryPresence(), MemoryPresence()]
    plain = world.caduceus

    def with_presences() -> Caduceus:
        made = plain()
        ports = evolve(made._ports, presences=presences, reports={"memory": line})
        return Caduceus(made._config, ports, 4711, "1.2.3")

    monkeypatch.setattr(GatewayWorld, "caduceus", lambda *_: with_presences())
    async with world.running(with_hermes=False):
        await world.clock.elapse(timedelta(seconds=1))
        first = presences[0].heartbeat
        assert first is not None
        assert (first.daemon, first.status, first.pid) == ("gateway", "running", 4711)
        assert first.channels == (ChannelSign(name="memory"),)
        line.trouble = "network"
        await world.clock.elapse(HEARTBEAT_EVERY)
        second = presences[1].heartbeat
        assert second is not None
        assert second.last_heartbeat_at - first.last_heartbeat_at == HEARTBEAT_EVERY
        assert second.channels == (ChannelSign(name="memory", trouble="network"),)
    assert [p.heartbeat.status for p in presences if p.heartbeat] == ["stopped", "stopped"]


@pytest.mark.parametrize(
    "operation", ["notes.put", "queue.enqueue", "outbox.pending", "channel.send"]
)
async def test_it_says_that_a_store_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """While something waits for a store, and no longer: whoever watches it raises the alarm."""
    world, presence = GatewayWorld(tmp_path), MemoryPresence()
    plain = world.caduceus

    def with_presence() -> Caduceus:
        made = plain()
        return Caduceus(made._config, evolve(made._ports, presences=[presence]))

    monkeypatch.setattr(GatewayWorld, "caduceus", lambda *_: with_presence())
    faults = world.lab.faults if operation == "queue.enqueue" else world.faults

    def trouble() -> str | None:
        assert presence.heartbeat is not None
        return presence.heartbeat.trouble

    async with world.running():
        await world.clock.elapse(timedelta(seconds=10))
        assert trouble() is None
        faults.fail(operation, StorageUnavailable("no space"), times=None)
        world.say("do it")
        await world.until(lambda: trouble() == "no space")
        faults.clear()
        await world.until(lambda: trouble() is None)
        await world.until(lambda: len(world.answers()) == 1)
