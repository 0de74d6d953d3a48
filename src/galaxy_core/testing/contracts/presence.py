"""The contract of `Presence`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio

from galaxy_core.domain.operations import ChannelSign
from galaxy_core.ports.presence import Presence
from galaxy_core.testing.clock import START
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.factories import make_heartbeat


class PresenceContract(Contract):
    """Everything that a `Presence` owes those who look for the daemon."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_beat_that_cannot_be_written_stops_nobody(
        self, harness: Harness[Presence]
    ) -> None:
        """A daemon on a full disk goes on; who cannot read a sign of life sees none."""
        presence = await harness.open()
        await presence.beat(make_heartbeat(orders_processed=1))
        async with harness.refusing():
            await presence.beat(make_heartbeat(orders_processed=2))
            assert await presence.read() is None
        await presence.beat(make_heartbeat(orders_processed=3))
        found = await presence.read()
        assert found is not None
        assert found.orders_processed == 3

    async def test_no_sign_of_life_is_none(self, harness: Harness[Presence]) -> None:
        """A daemon that never ran is no error."""
        assert await (await harness.open()).read() is None

    async def test_newer_beat_replaces_the_older(self, harness: Harness[Presence]) -> None:
        """Only the last sign of life counts."""
        presence = await harness.open()
        for number in range(3):
            await presence.beat(make_heartbeat(orders_processed=number))
        found = await presence.read()
        assert found is not None
        assert found.orders_processed == 2

    async def test_every_field_comes_back(self, harness: Harness[Presence]) -> None:
        """People see what the daemon says of itself."""
        presence = await harness.open()
        heartbeat = make_heartbeat(
            status="draining",
            machine="build server 2",
            last_heartbeat_at=START + timedelta(seconds=5),
            orders_processed=7,
            failure_count=1,
            running=("a", "b"),
            session_id="ses_1",
            last_poll_at=START + timedelta(seconds=4),
            stopped_at=START + timedelta(seconds=6),
            pid=4711,
            version="1.2.3",
            dispatcher="opencode-server",
            daemon="gateway",
            channels=(
                ChannelSign(name="telegram", heard_at=START, trouble="network"),
                ChannelSign(name="web"),
            ),
        )
        await presence.beat(heartbeat)
        assert await presence.read() == heartbeat

    async def test_reader_never_sees_half_a_beat(self, harness: Harness[Presence]) -> None:
        """Readers see the old or the new one, whole, while it is being replaced."""
        presence = await harness.open()
        await presence.beat(make_heartbeat(orders_processed=0, failure_count=0))
        is_over = anyio.Event()

        async def beat() -> None:
            for number in range(30):
                await presence.beat(make_heartbeat(orders_processed=number, failure_count=number))
            is_over.set()

        async with anyio.create_task_group() as group:
            group.start_soon(beat, name="beat")
            while not is_over.is_set():
                found = await presence.read()
                assert found is not None
                assert found.orders_processed == found.failure_count

    @requires("has_several_processes")
    async def test_other_process_sees_it(self, harness: Harness[Presence]) -> None:
        """Who asks is not the daemon."""
        daemon, person = await harness.open(), await harness.open()
        heartbeat = make_heartbeat()
        await daemon.beat(heartbeat)
        assert await person.read() == heartbeat
