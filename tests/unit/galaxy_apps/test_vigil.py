"""When the watchdog is fed, and when not."""

from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from attrs import define, field, frozen

from galaxy_apps.notify import ServiceManager
from galaxy_apps.vigil import PATIENCE, Vigil
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.presence import Presence
from galaxy_core.testing.clock import START

A_SECOND = timedelta(seconds=1)


@frozen(kw_only=True)
class Ear(ServiceManager):
    """A manager whose words are kept."""

    said: list[str] = field(factory=list)

    def _tell(self, **fields: str) -> None:
        self.said.append(" ".join(f"{name}={text}" for name, text in fields.items()))


@define
class Hand:
    """A clock that is set by hand."""

    seconds: float = 0.0

    def __call__(self) -> float:
        """What time it is."""
        return self.seconds


@define
class Beats(Presence):
    """Keeps what it is given."""

    last: Heartbeat | None = None

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Port `Presence`."""
        self.last = heartbeat

    async def read(self) -> Heartbeat | None:
        """Port `Presence`."""
        return self.last


@define
class Stuck:
    """A queue and an outbox that can be made to hang."""

    is_hanging: bool = False
    found: object = None

    async def claim(self) -> object:
        """Port `OrderQueue`."""
        await self._perhaps()
        return self.found

    async def wait(self, limit: timedelta | None = None) -> bool:
        """Ports `OrderQueue` and `Outbox`."""
        await self._perhaps()
        return False

    async def pending(self, limit: int) -> list[object]:
        """Port `Outbox`."""
        await self._perhaps()
        return []

    async def count(self) -> int:
        """Is not watched."""
        return 7

    async def _perhaps(self) -> None:
        if self.is_hanging:
            await anyio.sleep_forever()


def heartbeat(status: str = "running") -> Heartbeat:
    """Make a heartbeat."""
    return Heartbeat(status=status, machine="lab", started_at=START, last_heartbeat_at=START)


@pytest.fixture
def ear() -> Ear:
    """A manager with a watchdog that never has to wait."""
    return Ear(address="/somewhere", watchdog=timedelta(milliseconds=3))


@pytest.fixture
def hand() -> Hand:
    """A clock."""
    return Hand()


@pytest.fixture
def vigil(ear: Ear, hand: Hand) -> Vigil:
    """A vigil over nothing as yet."""
    return Vigil(ear, hand)


async def fed(vigil: Vigil, ear: Ear) -> bool:
    """Whether the watchdog is fed now."""
    ear.said.clear()
    with anyio.move_on_after(0.05):
        await vigil.keep()
    return "WATCHDOG=1" in ear.said


async def test_hermes_is_ready_with_its_first_heartbeat(vigil: Vigil, ear: Ear) -> None:
    """Not before: what waits for it may begin then."""
    presence = vigil.over_presence(Beats())
    assert ear.said == []
    await presence.beat(heartbeat())
    await presence.beat(heartbeat())
    assert ear.said == ["READY=1 STATUS=running: 0 at work, 0 done, 0 failed"]
    assert await presence.read() == heartbeat()


async def test_a_heart_that_stops_ends_the_feeding(vigil: Vigil, ear: Ear, hand: Hand) -> None:
    """The task that feeds goes on all the time, and is no proof by itself."""
    presence = vigil.over_presence(Beats())
    await presence.beat(heartbeat())
    assert await fed(vigil, ear)
    hand.seconds += PATIENCE.total_seconds() + 1
    assert vigil.overdue() == ("heartbeat",)
    assert not await fed(vigil, ear)
    await presence.beat(heartbeat())
    assert await fed(vigil, ear)


async def test_a_stopped_hermes_has_no_heartbeat_to_miss(vigil: Vigil, hand: Hand) -> None:
    """The last beat says so."""
    presence = vigil.over_presence(Beats())
    await presence.beat(heartbeat())
    await presence.beat(heartbeat("stopped"))
    hand.seconds += 1000
    assert vigil.overdue() == ()


@pytest.mark.parametrize("call", ["claim", "wait"])
async def test_a_call_of_the_claiming_loop_that_hangs_is_seen(
    vigil: Vigil, hand: Hand, call: str
) -> None:
    """A disk that never answers leaves heartbeat and event loop alone."""
    queue = vigil.over_queue(Stuck(is_hanging=True))  # type: ignore[arg-type]
    late: tuple[str, ...] = ()
    async with anyio.create_task_group() as tasks:
        if call == "claim":
            tasks.start_soon(queue.claim)
        else:
            tasks.start_soon(queue.wait, timedelta(seconds=30))
        await anyio.wait_all_tasks_blocked()
        hand.seconds += PATIENCE.total_seconds() - 1
        assert vigil.overdue() == ()
        hand.seconds += 40
        late = vigil.overdue()
        tasks.cancel_scope.cancel()
    assert late == ("claim",)
    assert vigil.overdue() == ()


async def test_a_claiming_loop_that_does_not_go_on_is_seen(vigil: Vigil, hand: Hand) -> None:
    """After an empty claim comes a wait, after a wait a claim; after an order nothing must."""
    inner = Stuck()
    queue = vigil.over_queue(inner)  # type: ignore[arg-type]
    for step in (queue.claim, lambda: queue.wait(A_SECOND)):
        await step()
        hand.seconds += PATIENCE.total_seconds() + 1
        assert vigil.overdue() == ("claim",)
    inner.found = object()
    await queue.claim()
    hand.seconds += 1_000_000
    assert vigil.overdue() == ()


async def test_what_is_not_watched_goes_straight_through(vigil: Vigil) -> None:
    """The rest of the port is as it was."""
    queue = vigil.over_queue(Stuck())  # type: ignore[arg-type]
    assert await queue.count() == 7  # type: ignore[attr-defined]


def test_a_question_that_takes_too_long_is_seen(vigil: Vigil) -> None:
    """A channel that asks somebody tells when it has hung."""
    answers: list[str | None] = [None, "telegram"]
    vigil.check(lambda: answers.pop(0))
    assert vigil.overdue() == ()
    assert vigil.overdue() == ("telegram",)


async def test_a_daemon_that_stops_is_left_its_time(vigil: Vigil, ear: Ear, hand: Hand) -> None:
    """The manager is told how long it may take; loops that have ended are not missed."""
    vigil.expect("claim", A_SECOND)
    hand.seconds += 10
    vigil.stopping(timedelta(seconds=40))
    assert ear.said[-1].endswith("EXTEND_TIMEOUT_USEC=40000000")
    assert await fed(vigil, ear)


async def test_the_state_is_told_when_it_changes(vigil: Vigil, ear: Ear) -> None:
    """Once, not with each look."""
    vigil.ready("begun")
    vigil.say("2 at work")
    await fed(vigil, ear)
    assert ear.said.count("STATUS=2 at work") == 1


async def test_nobody_is_told_where_nobody_listens(tmp_path: Path) -> None:
    """Without a service manager the task ends at once."""
    with anyio.fail_after(5):
        await Vigil().keep()
