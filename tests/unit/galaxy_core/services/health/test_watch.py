"""A watcher notices what is dead or hung in time, has it repaired, and outlives trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest
from attrs import define, field

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.health import Sight, Way
from galaxy_core.domain.insight import Level
from galaxy_core.domain.letter import Severity
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.domain.run import DispatcherHealth
from galaxy_core.ports.machine_folder import DiskSpace
from galaxy_core.services.health import AlertConfig, AlertDesk, Probe, Pulse, Watch, probes
from galaxy_core.services.health.watch import LOOP_BLOCKED
from galaxy_core.services.trail import Trail
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_heartbeat, make_order
from galaxy_core.testing.memory import (
    AlertPages,
    AuditLines,
    LetterBox,
    ManualClock,
    MemoryAlertBook,
    MemoryAuditSink,
    MemoryMachineFolder,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOrders,
    MemoryOutbox,
    MemoryPresence,
)

pytestmark = pytest.mark.anyio

NOTICED_WITHIN = timedelta(seconds=15)


@define
class Scene:
    """One folder, whoever beats in it, and a watcher."""

    clock: ManualClock = field(factory=ManualClock)
    presence: MemoryPresence = field(factory=MemoryPresence)
    letters: LetterBox = field(factory=LetterBox)
    pages: AlertPages = field(factory=AlertPages)
    lines: AuditLines = field(factory=AuditLines)
    orders: MemoryOrders = field(init=False)
    is_beating: bool = True
    trouble: str | None = None
    running: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        self.orders = MemoryOrders(self.clock, machine="lab")

    def hermes(self) -> Probe:
        """The gateway's look at Hermes."""
        pulse = Pulse(self.presence, self.clock)
        look = probes.HermesLook("lab", pulse, MemoryOrderCatalogue(self.orders), self.clock)
        return Probe(name="hermes", look=look)

    @asynccontextmanager
    async def watching(self, *looks: Probe) -> AsyncIterator[None]:
        """Have a watcher run, and a daemon beat."""
        trail = Trail(MemoryAuditSink(self.lines), self.clock, "gateway")
        outbox = MemoryOutbox(self.clock, self.letters)
        desk = AlertDesk(
            AlertConfig(sender="x"), MemoryAlertBook(self.pages), outbox, trail, self.clock
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._beat)
            tasks.start_soon(Watch(looks, desk, trail, self.clock).run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def _beat(self) -> None:
        while True:
            if self.is_beating:
                beat = make_heartbeat(
                    machine="lab",
                    last_heartbeat_at=self.clock.now(),
                    running=self.running,
                    trouble=self.trouble,
                )
                await self.presence.beat(beat)
            await self.clock.sleep(timedelta(seconds=3))

    @property
    def said(self) -> list[str]:
        """First lines of all letters."""
        return [letter.message.splitlines()[0] for letter in self.letters.waiting.values()]

    async def submit(self) -> None:
        """Have an order wait."""
        await MemoryOrderQueue(self.orders, "somebody").enqueue(make_order())


@pytest.fixture
def scene() -> Scene:
    """Give a Hermes that beats."""
    return Scene()


@pytest.mark.parametrize("after", [30.0, 31.0, 32.9])
async def test_a_dead_hermes_is_told_within_15_seconds(scene: Scene, after: float) -> None:
    """Wherever in its rhythm it dies; and a live one is never told dead."""
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(hours=1) + timedelta(seconds=after))
        assert not scene.said
        scene.is_beating = False
        await scene.clock.elapse(NOTICED_WITHIN)
        assert scene.said == ["Hermes on lab gives no sign of life."]
        scene.is_beating = True
        await scene.clock.elapse(NOTICED_WITHIN)
        assert len(scene.said) == 2


async def test_orders_that_ran_make_it_critical(scene: Scene) -> None:
    """Somebody waits for an answer."""
    scene.running = ("a", "b")
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(seconds=10))
        scene.is_beating = False
        await scene.clock.elapse(NOTICED_WITHIN)
    (letter,) = scene.letters.waiting.values()
    assert letter.severity is Severity.CRITICAL
    assert "while 2 orders ran" in letter.message


async def test_a_host_that_boots_alarms_nobody(scene: Scene) -> None:
    """The heartbeat of before the boot says `running`; its Hermes needs a while to start."""
    await scene.presence.beat(make_heartbeat(machine="lab"))
    scene.is_beating = False
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(seconds=28))
        assert not scene.said
        await scene.clock.elapse(timedelta(seconds=5))
        assert len(scene.said) == 1


@pytest.mark.parametrize("step", [timedelta(hours=2), timedelta(hours=-2)])
async def test_a_clock_that_is_set_kills_nobody(scene: Scene, step: timedelta) -> None:
    """Silence is no change while we look, whatever the times say."""
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(seconds=10))
        scene.clock.jump(step)
        await scene.clock.elapse(timedelta(minutes=2))
    assert not scene.said


async def test_a_watcher_that_was_away_begins_anew(scene: Scene) -> None:
    """A host that slept: nobody beat meanwhile, and nobody looked."""
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(seconds=10))
        scene.is_beating = False
        scene.clock.advance(timedelta(minutes=5))
        await settle()
        await scene.clock.elapse(timedelta(seconds=5))
        scene.is_beating = True
        await scene.clock.elapse(timedelta(seconds=30))
    assert not scene.said
    assert LOOP_BLOCKED in [record.event.event_type for record in scene.lines.records]


async def test_a_hermes_that_was_stopped_is_missed_only_by_orders(scene: Scene) -> None:
    """Who stops it knows; two minutes after an order came for it somebody should hear."""
    scene.is_beating = False
    await scene.presence.beat(make_heartbeat(machine="lab", status="stopped"))
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(hours=1))
        assert not scene.said
        await scene.submit()
        await scene.clock.elapse(timedelta(minutes=1))
        assert not scene.said
        await scene.clock.elapse(timedelta(minutes=2))
        assert scene.said == ["Hermes on lab was stopped, and 1 order waits."]


async def test_hermes_sees_a_gateway_that_hangs(scene: Scene) -> None:
    """The other way round; its letter can only be read afterwards."""
    look = probes.GatewayLook(Pulse(scene.presence, scene.clock))
    async with scene.watching(Probe(name="gateway", look=look)):
        await scene.clock.elapse(timedelta(minutes=1))
        scene.is_beating = False
        await scene.clock.elapse(NOTICED_WITHIN)
        assert [(s.key, s.severity) for s in scene.pages.states] == [("gateway", Severity.CRITICAL)]
        await scene.clock.elapse(timedelta(minutes=2))
        assert not scene.said
        scene.is_beating = True
        await scene.clock.elapse(timedelta(seconds=20))
        assert scene.said == ["Resolved after 2 min: The gateway gives no sign of life."]


async def test_hermes_sees_a_gateway_whose_store_refuses(scene: Scene) -> None:
    """One that lives and can write nothing down is as bad as a dead one, and over when it can."""
    look = probes.GatewayLook(Pulse(scene.presence, scene.clock))
    async with scene.watching(Probe(name="gateway", look=look)):
        await scene.clock.elapse(timedelta(minutes=1))
        scene.trouble = "No space left."
        await scene.clock.elapse(NOTICED_WITHIN)
        (state,) = scene.pages.states
        assert (state.key, state.severity) == ("gateway", Severity.CRITICAL)
        await scene.clock.elapse(timedelta(minutes=2))
        scene.trouble = None
        await scene.clock.elapse(timedelta(seconds=20))
    (said,) = scene.said
    assert "Resolved after 2 min: The gateway cannot store what it has to (No space left)" in said


@pytest.mark.parametrize("status", [None, "stopped"])
async def test_no_gateway_is_no_trouble(scene: Scene, status: str | None) -> None:
    """Hermes works for files alone, too."""
    scene.is_beating = False
    if status is not None:
        await scene.presence.beat(make_heartbeat(status=status))
    look = probes.GatewayLook(Pulse(scene.presence, scene.clock))
    async with scene.watching(Probe(name="gateway", look=look)):
        await scene.clock.elapse(timedelta(hours=1))
    assert not scene.pages.states


@define
class Agent:
    """An agent that may hang, and is well again some time after it is revived."""

    clock: ManualClock
    health: DispatcherHealth | None = None
    revived: int = 0

    async def look(self) -> DispatcherHealth | None:
        """Port `AgentCare`."""
        return self.health

    async def revive(self) -> None:
        """Port `AgentCare`."""
        self.revived += 1
        await self.clock.sleep(timedelta(seconds=40))
        self.health = DispatcherHealth(is_ready=True, name="x")


async def test_an_agent_that_hangs_is_replaced_once(scene: Scene) -> None:
    """Noticed within 15 s, whole within 60, told once, and that it is over."""
    agent = Agent(scene.clock)
    async with anyio.create_task_group() as tasks:
        look = probes.AgentLook("lab", agent, tasks)
        probe = Probe(name="agent", look=look, every=probes.AGENT_EVERY)
        async with scene.watching(probe):
            await scene.clock.elapse(timedelta(minutes=1))  # none is needed
            agent.health = DispatcherHealth(is_ready=True, name="x")
            await scene.clock.elapse(timedelta(minutes=1))
            agent.health = DispatcherHealth(is_ready=False, name="x", problem="Silence.")
            await scene.clock.elapse(NOTICED_WITHIN)
            assert scene.said == ["opencode serve does not answer on lab."]
            await scene.clock.elapse(timedelta(seconds=45))
            assert agent.revived == 1
            assert len(scene.said) == 2


async def test_an_agent_that_misses_one_question_is_left_alone(scene: Scene) -> None:
    """It may be starting again by itself: nobody is told, and one at a time makes sure."""
    agent = Agent(scene.clock)
    async with anyio.create_task_group() as tasks:
        look = probes.AgentLook("lab", agent, tasks)
        for is_ready in (True, False, True, False):
            agent.health = DispatcherHealth(is_ready=is_ready, name="x")
            (sight,) = await look()
            assert sight.check.is_well
        await settle()
        assert agent.revived == 1
        tasks.cancel_scope.cancel()


async def test_a_channel_that_went_silent(scene: Scene) -> None:
    """It blocks letters at once, and is told after a minute; by letter if there is another way."""

    @define
    class Line:
        trouble: str | None = "network"

        def sign(self) -> ChannelSign:
            return ChannelSign(name="telegram", trouble=self.trouble)

    way = Line()
    (sight,) = await probes.channels_look({"telegram": way}, has_others=False)()
    assert (sight.way, sight.is_way_blocked, sight.grace_seconds) == (Way.PUSH, True, 60.0)
    assert not sight.check.is_well
    (sight,) = await probes.channels_look({"telegram": way}, has_others=True)()
    assert sight.way is Way.LETTER
    way.trouble = None
    (sight,) = await probes.channels_look({"telegram": way}, has_others=True)()
    assert sight.check.is_well


@pytest.mark.parametrize(
    "space, level, severity",
    [
        (DiskSpace(free_bytes=50, total_bytes=100), Level.UNWELL, Severity.CRITICAL),
        (DiskSpace(free_bytes=900_000_000, total_bytes=10**10), Level.DOUBTFUL, Severity.WARNING),
        (DiskSpace(free_bytes=2 * 10**9, total_bytes=10**10), Level.WELL, Severity.WARNING),
        (
            DiskSpace(free_bytes=10**10, total_bytes=10**11, free_files=1, total_files=10**6),
            Level.UNWELL,
            Severity.CRITICAL,
        ),
        (
            DiskSpace(free_bytes=10**10, total_bytes=10**11, free_files=9_000, total_files=10**6),
            Level.DOUBTFUL,
            Severity.WARNING,
        ),
    ],
)
async def test_a_disk(space: DiskSpace, level: Level, severity: Severity) -> None:
    """Bytes and inodes; a full one holds letters up."""
    folder = MemoryMachineFolder(disk=space)
    (sight,) = await probes.disk_look("lab", folder, 1_000_000_000)()
    assert (sight.check.level, sight.severity) == (level, severity)
    assert sight.is_way_blocked is (level is Level.UNWELL)


async def test_an_order_that_waits_too_long(scene: Scene) -> None:
    """Told after `alerts.queue_age`; those that wait for a time do not count."""
    look = probes.queue_look(
        "lab", MemoryOrderCatalogue(scene.orders), scene.clock, timedelta(minutes=15)
    )
    await scene.submit()
    later = make_order(id="later", not_before=scene.clock.now() + timedelta(days=1))
    await MemoryOrderQueue(scene.orders, "somebody").enqueue(later)
    async with scene.watching(probes.slowly("queue", look)):
        await scene.clock.elapse(timedelta(minutes=14))
        assert not scene.said
        await scene.clock.elapse(timedelta(minutes=1, seconds=12))
        assert scene.said == ["An order on lab has waited for 15 min or longer."]


async def test_one_look_that_fails_or_hangs_stops_no_other(scene: Scene) -> None:
    """And the one that hangs is told of."""

    async def fails() -> Sequence[Sight]:
        raise StorageUnavailable("away")

    async def crashes() -> Sequence[Sight]:
        raise RuntimeError("a bug")

    async def hangs() -> Sequence[Sight]:
        await anyio.sleep_forever()
        return ()

    looks = [Probe(name=look.__name__, look=look) for look in (fails, crashes, hangs)]
    async with scene.watching(*looks, scene.hermes()):
        await scene.clock.elapse(timedelta(minutes=1))
        scene.is_beating = False
        await scene.clock.elapse(NOTICED_WITHIN)
    assert scene.said == [
        "A look at hangs does not come to its end.",
        "Hermes on lab gives no sign of life.",
    ]


async def test_what_was_said_is_kept_while_a_look_fails(scene: Scene) -> None:
    """A restart while the folder is away must not forget what is wrong."""
    async with scene.watching(scene.hermes()):
        await scene.clock.elapse(timedelta(seconds=10))
        scene.is_beating = False
        await scene.clock.elapse(NOTICED_WITHIN)

    async def fails() -> Sequence[Sight]:
        raise StorageUnavailable("away")

    async with scene.watching(Probe(name="hermes", look=fails)):
        await scene.clock.elapse(timedelta(minutes=1))
    assert [state.key for state in scene.pages.states] == ["hermes:lab"]


async def test_letters_that_reached_nobody_make_no_further_letter(scene: Scene) -> None:
    """The courier has told the owners; piled up letters are not told by one more."""
    outbox = MemoryOutbox(scene.clock, scene.letters)
    sights = await probes.outbox_look({"lab": outbox})()
    assert {sight.way for sight in sights} == {Way.PUSH}
    assert all(sight.check.is_well for sight in sights)
