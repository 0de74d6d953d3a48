"""Asking for updates, whatever happens."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._poller import Poller
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.testing.clock import ManualClock, settle
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink

Json = dict[str, Any]
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Telegram:
    """Answers as the test says; waits when it has said nothing."""

    def __init__(self) -> None:
        self.answers: list[object] = []
        self.questions: list[Json] = []
        self.others: list[str] = []
        self._more = anyio.Event()

    def says(self, *answers: object) -> None:
        """The next answers; an exception is raised."""
        self.answers += answers
        self._more.set()
        self._more = anyio.Event()

    async def call(
        self,
        method: str,
        parameters: dict[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> object:
        """Answer one call."""
        if method != "getUpdates":
            self.others.append(method)
            return True
        self.questions.append(dict(parameters or {}))
        while not self.answers:
            await self._more.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    @property
    def offsets(self) -> list[object]:
        """The offset of each question."""
        return [question.get("offset") for question in self.questions]


class Box:
    """Keeps updates."""

    def __init__(self) -> None:
        self.kept: list[object] = []
        self.errors: list[BaseException] = []
        self.wants_look = False
        self.looks = 0

    def looked(self) -> None:
        """Nothing more lies there."""
        self.looks += 1
        self.wants_look = False

    async def store(self, updates: Sequence[object]) -> int | None:
        """Keep a batch."""
        if self.errors:
            raise self.errors.pop(0)
        self.kept += updates
        ids = [u["update_id"] for u in updates if isinstance(u, dict) and "update_id" in u]
        return max(ids, default=None)


class World:
    """A poller and what is around it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.telegram = Telegram()
        self.box = Box()
        self.incidents = MemoryIncidentSink()
        health = Health("1", self.clock, self.incidents)
        self.poller = Poller(
            self.telegram.call, self.box, self.clock, health, timedelta(seconds=30)
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """It polls for the duration of the block."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.poller.run)
            await settle()
            yield
            tasks.cancel_scope.cancel()

    async def asks_after(self, limit: timedelta) -> timedelta:
        """How long it waits before it asks again."""
        known, waited = len(self.telegram.questions), timedelta(0)
        while len(self.telegram.questions) == known:
            assert waited < limit, "it does not ask any more"
            await self.clock.elapse(timedelta(milliseconds=100))
            waited += timedelta(milliseconds=100)
        return waited


def updates(*ids: int) -> list[Json]:
    """A batch."""
    return [{"update_id": number} for number in ids]


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


async def test_offset_follows_the_store(world: World) -> None:
    """The first question has no offset; the next have what was stored, plus one."""
    async with world.running():
        world.telegram.says(updates(5, 6), [], updates(9))
        await settle()
        assert world.telegram.offsets == [None, 7, 7, 10]
    assert world.box.kept == updates(5, 6, 9)


async def test_asks_for_what_we_read(world: World) -> None:
    """Kinds of update are asked for by name, and nothing is ever dropped."""
    async with world.running():
        (question,) = world.telegram.questions
    assert question["allowed_updates"] == [
        *("message", "edited_message", "callback_query", "my_chat_member")
    ]
    assert question["timeout"] == 30
    assert "drop_pending_updates" not in question


async def test_quick_look(world: World) -> None:
    """While a text waits for it, the question is a quick one; an empty answer ends the wait."""
    async with world.running():
        world.box.wants_look = True
        world.telegram.says(updates(1))
        await settle()
        assert [q["timeout"] for q in world.telegram.questions] == [30, 0]
        assert world.box.looks == 0
        world.telegram.says([])
        await settle()
        assert world.box.looks == 1
        assert world.telegram.questions[-1]["timeout"] == 30


async def test_disk_full(world: World) -> None:
    """What cannot be stored is not confirmed; people are told at once, and when it is over."""
    world.box.errors = [StorageUnavailable("no space is left on the disk")] * 2
    async with world.running():
        world.telegram.says(updates(5), updates(5), updates(5))
        await world.clock.elapse(timedelta(seconds=10))
        assert world.telegram.offsets == [None, None, None, 6]
    assert world.incidents.kinds == ["channel_unhealthy", "channel_recovered"]
    assert all(incident.is_for_people for incident in world.incidents.incidents)


def failure(trouble: Trouble, retry_after: timedelta | None = None) -> CallFailed:
    """A failed call."""
    return CallFailed("no", trouble, retry_after=retry_after)


@pytest.mark.parametrize(
    "error, least, most",
    [
        (failure(Trouble.FLOOD, timedelta(seconds=280)), 280, 281 * 1.31),
        (failure(Trouble.CONFLICT), 10, 13.2),
        (failure(Trouble.TOKEN), 60, 78.2),
        (failure(Trouble.NETWORK), 1, 1.5),
        (failure(Trouble.ANSWER), 1, 1.5),
        (CallRefused("strange"), 1, 1.5),
        (ZeroDivisionError(), 1, 1.5),
    ],
)
async def test_pause(world: World, error: Exception, least: float, most: float) -> None:
    """Each trouble has its pause, with jitter; no offset moves, nothing ends the loop."""
    async with world.running():
        world.telegram.says(updates(5), error)
        await settle()
        waited = await world.asks_after(timedelta(minutes=10))
        assert least <= waited.total_seconds() <= most
        assert world.telegram.offsets == [None, 6, 6]
        world.telegram.says(updates(6))
        await settle()
    assert world.box.kept == updates(5, 6)


async def test_flood_is_waited_out(world: World) -> None:
    """A told time is waited for whole, whatever the jitter."""
    async with world.running():
        for _ in range(10):
            world.telegram.says(failure(Trouble.FLOOD, timedelta(seconds=60)))
            await settle()
            assert await world.asks_after(timedelta(minutes=10)) >= timedelta(seconds=60)


async def test_back_off(world: World) -> None:
    """The pauses grow to half a minute, and begin anew after a success."""
    async with world.running():
        waits = []
        for _ in range(8):
            world.telegram.says(failure(Trouble.NETWORK))
            await settle()
            waits.append((await world.asks_after(HOUR)).total_seconds())
        assert waits[0] < 1.5
        assert 30 <= waits[-1] <= 39.2
        world.telegram.says([], failure(Trouble.NETWORK))
        await settle()
        assert (await world.asks_after(HOUR)).total_seconds() < 1.5


@pytest.mark.parametrize("answer", [None, {}, "html", True, [{}], [None], [{"text": "no id"}]])
async def test_strange_answer(world: World, answer: object) -> None:
    """An answer that is no list of updates is trouble, and no reason for haste."""
    async with world.running():
        world.telegram.says(answer)
        await settle()
        assert len(world.telegram.questions) == 1
        await world.clock.elapse(timedelta(seconds=2))
        assert world.telegram.offsets == [None, None]


async def test_webhook_is_removed(world: World) -> None:
    """A webhook that is in the way is removed, and the questions go on."""
    async with world.running():
        world.telegram.says(failure(Trouble.WEBHOOK))
        await settle()
        assert world.telegram.others == ["deleteWebhook"]
        assert await world.asks_after(HOUR) < timedelta(seconds=3)


@pytest.mark.parametrize(
    "trouble, after",
    [
        (Trouble.TOKEN, timedelta(0)),
        (Trouble.STORAGE, timedelta(0)),
        (Trouble.BUG, timedelta(0)),
        (Trouble.CONFLICT, timedelta(seconds=15)),
        (Trouble.NETWORK, timedelta(minutes=1)),
        (Trouble.FLOOD, timedelta(minutes=5)),
    ],
)
def test_told_once(world: World, trouble: Trouble, after: timedelta) -> None:
    """Each trouble is told once, when it has lasted, and its end too."""
    health = Health("1", world.clock, world.incidents)
    health.trouble(trouble)
    if after:
        assert not world.incidents.incidents
    world.clock.advance(after)
    for _ in range(5):
        health.trouble(trouble)
    (incident,) = world.incidents.incidents
    assert incident.kind == "channel_unhealthy"
    assert incident.data["trouble"] == str(trouble)
    world.clock.advance(timedelta(minutes=3))
    health.fine()
    health.fine()
    assert world.incidents.kinds == ["channel_unhealthy", "channel_recovered"]


def test_two_programs(world: World) -> None:
    """Two programs that take turns are one trouble, not one after each good call."""
    health = Health("1", world.clock, world.incidents)
    for _ in range(20):
        health.trouble(Trouble.CONFLICT)
        world.clock.advance(timedelta(seconds=10))
        health.fine()
    assert world.incidents.kinds == ["channel_unhealthy"]


def test_hiccup(world: World) -> None:
    """Trouble that passes soon is told to nobody."""
    health = Health("1", world.clock, world.incidents)
    for _ in range(20):
        health.trouble(Trouble.NETWORK)
        world.clock.advance(timedelta(seconds=50))
        health.fine()
    assert not world.incidents.incidents


async def test_offset_is_forgotten(world: World) -> None:
    """After a day of silence ids may begin anew below the offset: it is given up."""
    async with world.running():
        world.telegram.says(updates(900))
        await settle()
        world.clock.advance(timedelta(hours=25))
        world.telegram.says([], updates(3))
        await settle()
        assert world.telegram.offsets == [None, 901, None, 4]


async def test_cancelled(world: World) -> None:
    """Stopping interrupts the question that is under way, and a pause."""
    async with world.running():
        pass
    async with world.running():
        world.telegram.says(failure(Trouble.TOKEN))
        await settle()


async def test_a_question_that_hangs_is_seen(world: World) -> None:
    """No answer for as long as Telegram may take is usual; two minutes beyond that is a defect."""
    assert world.poller.stuck_for() is None
    async with world.running():
        await world.clock.elapse(timedelta(seconds=149))
        assert world.poller.stuck_for() is None
        await world.clock.elapse(timedelta(seconds=2))
        assert world.poller.stuck_for() == timedelta(seconds=151)
        world.telegram.says(updates(1))
        await settle()
        assert world.poller.stuck_for() is None
