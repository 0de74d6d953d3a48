"""Parts of one process: begun anew when they die, never in silence, and stopped in order."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import pytest
from attrs import define, field
from structlog.testing import capture_logs

from galaxy_apps.up.parts import Part, Runner
from galaxy_core.domain.errors import GalaxyError, PermanentError, StorageUnavailable
from galaxy_core.testing import ManualClock

PATIENCE_S = 10


@define(eq=False)
class Fake:
    """A part that is opened, works until it is told to stop, and dies when a test says so."""

    failures: list[Exception] = field(factory=list)
    """What its next openings end with."""
    opened: int = 0
    stops: int = 0
    closed: int = 0
    dies: anyio.Event = field(factory=anyio.Event)
    death: Exception | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Runner]:
        """As parts are opened."""
        self.opened += 1
        if self.failures:
            raise self.failures.pop(0)
        self.dies = anyio.Event()
        try:
            yield self
        finally:
            self.closed += 1

    async def run(self) -> None:
        """Work."""
        await self.dies.wait()
        if self.death is not None:
            raise self.death

    def stop(self) -> None:
        """Stop."""
        self.stops += 1
        self.death = None
        self.dies.set()


async def until(condition: Callable[[], bool]) -> None:
    """Let others work until it is so."""
    with anyio.fail_after(PATIENCE_S):
        while not condition():
            await anyio.lowlevel.checkpoint()


@pytest.fixture
def clock() -> ManualClock:
    """Time stands still."""
    return ManualClock()


@pytest.mark.parametrize(
    "death",
    [
        None,
        StorageUnavailable("the disk is away"),
        RuntimeError("a bug"),
        ExceptionGroup("tasks", [StorageUnavailable("the disk is away")]),
        ExceptionGroup("tasks", [RuntimeError("a bug")]),
    ],
)
async def test_one_that_dies_begins_anew_and_says_so(
    clock: ManualClock, death: Exception | None
) -> None:
    """However it ends: closed, logged, and opened again after a pause."""
    fake = Fake()
    part = Part("gateway", fake.open, clock)
    with capture_logs() as lines:
        async with anyio.create_task_group() as tasks:
            await tasks.start(part.keep)
            assert fake.opened == 1
            fake.death = death
            fake.dies.set()
            await until(lambda: fake.closed == 1)
            await until(lambda: any(line["event"] == "part.restarted" for line in lines))
            assert (part.is_up, fake.opened) == (False, 1)
            await clock.elapse(timedelta(seconds=2.1))
            await until(lambda: fake.opened == 2)
            part.stop()
    assert (fake.opened, fake.closed, fake.stops) == (2, 2, 1)
    (line,) = [line for line in lines if line["event"] == "part.restarted"]
    assert line["part"] == "gateway"
    assert line["problem"]


async def test_pauses_grow_up_to_a_minute(clock: ManualClock) -> None:
    """What cannot be opened again is tried for ever, not all the time."""
    fake = Fake()
    part = Part("gateway", fake.open, clock)
    with capture_logs() as lines:
        async with anyio.create_task_group() as tasks:
            await tasks.start(part.keep)
            fake.failures = [StorageUnavailable("full") for _ in range(6)]
            fake.dies.set()
            await until(lambda: len(lines) == 1)
            await clock.elapse(timedelta(seconds=2 + 6 + 18 + 54 + 3 * 60))
            assert part.is_up
            part.stop()
    assert [line["again_in_seconds"] for line in lines] == [2, 6, 18, 54, 60, 60, 60]


@pytest.mark.parametrize("error", [PermanentError("no"), RuntimeError("a bug")])
async def test_one_that_cannot_begin_ends_the_whole(
    clock: ManualClock, error: GalaxyError | RuntimeError
) -> None:
    """What is wrong at the start is said at the start."""
    part = Part("gateway", Fake(failures=[error]).open, clock)
    with pytest.raises(ExceptionGroup) as raised:
        async with anyio.create_task_group() as tasks:
            await tasks.start(part.keep)
    assert raised.value.exceptions == (error,)


async def test_stopped_while_it_pauses_it_is_over(clock: ManualClock) -> None:
    """Nobody waits for a pause to end."""
    fake = Fake()
    part = Part("gateway", fake.open, clock)
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            await tasks.start(part.keep)
            fake.dies.set()
            await until(lambda: fake.closed == 1)
            part.stop()
    assert fake.opened == 1


async def test_stopped_before_it_begins_it_never_does(clock: ManualClock) -> None:
    """A signal that comes early is not forgotten."""
    fake = Fake()
    part = Part("gateway", fake.open, clock)
    part.stop()
    with anyio.fail_after(PATIENCE_S):
        async with anyio.create_task_group() as tasks:
            await tasks.start(part.keep)
    assert fake.opened == 0
