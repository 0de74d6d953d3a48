"""Letting people in: neither a stranger nor a failure half way changes who may what."""

from __future__ import annotations

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.people import Role
from galaxy_core.services.gateway.pairing import PairingDesk
from galaxy_core.services.gateway.roster import Roster
from galaxy_core.services.trail import Trail
from galaxy_core.testing.memory import (
    MemoryAuditSink,
    MemoryNoteStore,
    MemoryOutbox,
)
from tests.unit.galaxy_core.services.gateway.world import (
    STRANGER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


async def test_owner_stays_owner_when_a_code_is_confirmed_twice(world: GatewayWorld) -> None:
    """A confirmation that failed half way and is repeated takes nothing away."""
    notes = MemoryNoteStore(world.clock, world.notes, faults=world.faults)
    desk = PairingDesk(
        notes,
        Roster(notes),
        MemoryOutbox(world.clock, world.letters),
        Trail(MemoryAuditSink(world.lines, faults=world.faults), world.clock, "home"),
        world.clock,
    )
    address = world.say("/start", by=STRANGER).address
    request = await desk.request(address, STRANGER, "Sam")
    assert request is not None
    world.faults.fail("audit.record", StorageUnavailable("full"))
    with pytest.raises(StorageUnavailable):
        await desk.confirm(request.code, by="terminal")
    person = await desk.confirm(request.code, by="terminal")
    assert person.role is Role.OWNER
