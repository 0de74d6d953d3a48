"""The way in as a whole, with a process that dies at every step."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from galaxy_adapters.channel_telegram import TelegramConfig
from galaxy_adapters.channel_telegram._errors import CallFailed, Trouble
from galaxy_adapters.channel_telegram._inbound import KEPT
from galaxy_adapters.channel_telegram._receiving import Receiving
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.message import InboundMessage
from galaxy_core.testing.clock import ManualClock, settle
from galaxy_core.testing.faults import Crash, Faults
from galaxy_core.testing.memory.incident_sink import MemoryIncidentSink
from galaxy_core.testing.memory.note_store import MemoryNoteStore, NoteBox
from tests.unit.galaxy_adapters.channel_telegram.updates import (
    DATE,
    GROUP,
    Json,
    forward,
    message,
    photo,
)

TOKEN = "7000000001:AAGalaxyTestTokenGalaxyTestTokenAbc"
UPDATES = "telegram:7000000001:update"
WHILE = timedelta(seconds=3)


class Telegram:
    """Keeps updates until a question with a higher offset."""

    def __init__(self) -> None:
        self.updates: list[Json] = []
        self.confirmed: list[Json] = []
        self.next_id = 100
        self.name = "galaxy_bot"
        self.is_down = False
        self._news = anyio.Event()

    def sends(self, *contents: Json) -> None:
        """People write; each is a message or a whole update."""
        for content in contents:
            update = {"message": content} if "chat" in content else content
            self.updates.append({"update_id": self.next_id} | update)
            self.next_id += 1
        self._news.set()
        self._news = anyio.Event()

    def redeliver(self) -> None:
        """Forget what was confirmed."""
        self.updates[:0] = self.confirmed
        self.confirmed = []
        self.sends()

    async def call(
        self,
        method: str,
        parameters: dict[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Answer a call."""
        await settle(1)
        if self.is_down:
            raise CallFailed("no", Trouble.NETWORK)
        if method == "getMe":
            return {"id": 7000000001, "is_bot": True, "username": self.name}
        assert method == "getUpdates"
        assert parameters is not None
        offset = parameters.get("offset", 0)
        assert isinstance(offset, int)
        self.confirmed += [u for u in self.updates if u["update_id"] < offset]
        self.updates = [u for u in self.updates if u["update_id"] >= offset]
        if not self.updates and parameters["timeout"]:
            await self._news.wait()
        return list(self.updates[:100])

    def download(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Nobody asks."""
        raise AssertionError(path)


class World:
    """What outlives the gateway's process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.telegram = Telegram()
        self.box = NoteBox()
        self.faults = Faults()
        self.incidents = MemoryIncidentSink()
        self.orders: dict[str, InboundMessage] = {}
        self.confirms = True

    async def process(self, stages: Sequence[Sequence[Json]] = ()) -> bool:
        """Run the gateway while people write; False when it died."""
        notes = MemoryNoteStore(self.clock, self.box, faults=self.faults)
        config = TelegramConfig(token=TOKEN)
        receiving = Receiving(config, "telegram", notes, self.clock, self.incidents)
        has_died = False
        try:
            async with receiving.running(self.telegram), anyio.create_task_group() as tasks:
                tasks.start_soon(self._handle, receiving)
                await self.clock.elapse(WHILE)
                for stage in stages:
                    self.telegram.sends(*stage)
                    await self.clock.elapse(WHILE)
                await self.clock.elapse(WHILE)
                tasks.cancel_scope.cancel()
        except* Crash:
            has_died = True
        return not has_died

    async def _handle(self, receiving: Receiving) -> None:
        while True:
            inbound = await receiving.receive()
            assert isinstance(inbound, InboundMessage)
            async with self.faults.around("orders.put"):
                self.orders.setdefault(inbound.key, inbound)
            if self.confirms:
                await receiving.confirm(inbound)

    @property
    def open(self) -> list[str]:
        """Keys of the notes that are not closed."""
        kept = self.box.kinds.get(UPDATES, {})
        return [key for key, note in kept.items() if note.text is not None]


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def said(number: int, text: str, **more: Any) -> Json:  # noqa: ANN401 - JSON
    """A text of Ann."""
    return message(message_id=number, text=text, **more)


FULL = "p" * 4090
STAGES: list[list[Json]] = [
    [said(10, "[comment]"), said(11, "[forward]", **forward())],
    [message(message_id=12, media_group_id="1", **photo(caption="[a1]"))],
    # Late: the first part was given out alone.
    [message(message_id=13, media_group_id="1", **photo(caption="[a2]"))],
    [said(20, "[p1]" + FULL, chat=GROUP), said(21, "[p2]" + FULL, chat=GROUP)],
    [said(22, "[p3]", chat=GROUP), said(14, "[alone]")],
    [{"my_chat_member": {}}, {"message": {"text": "[bad]"}}, said(15, "[last]", date=DATE + 9)],
]
MARKS = ["[comment]", "[forward]", "[a1]", "[a2]", "[p1]", "[p2]", "[p3]", "[alone]", "[last]"]


def told(world: World) -> str:
    """All that became of the orders."""
    return "\n".join(
        order.text + "".join(quote.text for quote in order.quotes)
        for order in world.orders.values()
    )


async def test_calm(world: World) -> None:
    """Without trouble each thing that was sent is one order, and nothing stays open."""
    assert await world.process(STAGES)
    texts = [order.text.replace("p" * 4090, "P") for order in world.orders.values()]
    assert texts == ["[comment]", "[a1]", "[a2]", "[p1]P\n[p2]P", "[p3]", "[alone]", "[last]"]
    assert world.open == []
    assert world.incidents.kinds == ["update_set_aside"]


@pytest.mark.parametrize("is_done", [False, True])
async def test_death_at_every_step(is_done: bool) -> None:  # noqa: FBT001
    """Whichever write it dies at, before or after: each update is in exactly one order."""
    step = 0
    while True:
        step += 1
        world = World()
        world.faults.crash_at(step, is_done=is_done)
        if await world.process(STAGES):
            break
        world.faults.clear()
        assert await world.process([s for s in STAGES if not was_sent(world, s)])
        found = told(world)
        assert {mark: found.count(mark) for mark in MARKS} == dict.fromkeys(MARKS, 1), step
        assert world.open == []
    assert step > 25


def was_sent(world: World, stage: Sequence[Json]) -> bool:
    """Whether people wrote that already."""
    had = [u.get("message") for u in world.telegram.confirmed + world.telegram.updates]
    return stage[-1] in had


@pytest.mark.parametrize("is_done", [False, True])
async def test_death_with_nothing_confirmed(is_done: bool) -> None:  # noqa: FBT001
    """The same when the handler is slow: what was given out apart stays apart after a restart."""
    for step in range(1, 16):
        world = World()
        world.confirms = False
        world.faults.crash_at(step, is_done=is_done)
        await world.process(STAGES)
        world.faults.clear()
        world.confirms = True
        await world.process([s for s in STAGES if not was_sent(world, s)])
        found = told(world)
        assert {mark: found.count(mark) for mark in MARKS} == dict.fromkeys(MARKS, 1), step
        assert world.open == []


async def test_store_that_lies(world: World) -> None:
    """A write that is reported as failed, and was none, costs nothing: the update is given out."""
    world.faults.fail("notes.add", StorageUnavailable("?"), times=2, is_done=True)
    await world.process([[said(10, "one")], [said(11, "two")]])
    assert [order.text for order in world.orders.values()] == ["one", "two"]
    assert world.open == []


async def test_late_part_of_a_lying_write(world: World) -> None:
    """A part that was stored with a head that has gone out meanwhile stands for itself for good."""
    world.confirms = False
    first = message(message_id=12, media_group_id="1", **photo(caption="[a1]"))
    second = message(message_id=13, media_group_id="1", **photo(caption="[a2]"))
    notes = MemoryNoteStore(world.clock, world.box, faults=world.faults)
    receiving = Receiving(
        TelegramConfig(token=TOKEN), "telegram", notes, world.clock, world.incidents
    )
    async with receiving.running(world.telegram):
        world.telegram.sends(first)
        await world.clock.elapse(timedelta(seconds=1))
        world.faults.fail("notes.add", StorageUnavailable("?"), is_done=True)
        world.telegram.sends(second)
        await world.clock.elapse(WHILE)
        one, two = await receiving.receive(), await receiving.receive()
    assert one.key != two.key
    world.orders[one.key] = one  # type: ignore[assignment]
    world.confirms = True
    await world.process()
    assert told(world).count("[a2]") == 1


async def test_redelivery(world: World) -> None:
    """What Telegram gives again makes nothing, in the same process and in the next."""
    await world.process([[said(10, "one")], [said(11, "two")]])
    world.telegram.redeliver()
    await world.process()
    world.confirms = False
    await world.process([[said(12, "three")]])
    world.telegram.redeliver()
    await world.process()
    assert [order.text for order in world.orders.values()] == ["one", "two", "three"]


async def test_keys_are_kept_a_week(world: World) -> None:
    """Keys of what is over are forgotten after a week, not before."""
    await world.process([[said(10, "one")]])
    assert len(world.box.kinds[UPDATES]) == 1
    world.clock.advance(KEPT - timedelta(hours=1))
    await world.process()
    assert len(world.box.kinds[UPDATES]) == 1
    world.clock.advance(timedelta(hours=2))
    await world.process()
    assert not world.box.kinds[UPDATES]


async def test_stored_before_telegram_is_reached(world: World) -> None:
    """What was stored is given out though Telegram is down: the bot's name is remembered."""
    world.confirms = False
    await world.process([[said(10, "/status@galaxy_bot", chat=GROUP)]])
    world.orders.clear()
    world.telegram.is_down = True
    await world.process()
    (order,) = world.orders.values()
    assert (order.text, order.is_addressed) == ("/status", True)


async def test_name_is_waited_for(world: World) -> None:
    """Without knowing its own name the bot reads nothing: it could not tell who is meant."""
    world.telegram.name = ""
    await world.process([[said(10, "hello @galaxy_bot")]])
    assert not world.orders
    world.telegram.name = "galaxy_bot"
    await world.process()
    assert len(world.orders) == 1


async def test_notes_that_cannot_be_read(world: World) -> None:
    """A store that refuses at the start is waited for; nothing is taken in before."""
    world.confirms = False
    await world.process([[said(10, "one")]])
    world.orders.clear()
    world.faults.fail("notes.list", StorageUnavailable("no"), times=1)
    world.confirms = True
    await world.process([[], [], [said(11, "two")]])
    assert [order.text for order in world.orders.values()] == ["one", "two"]
    assert world.incidents.kinds == ["channel_unhealthy", "channel_recovered"]


async def test_damaged_note(world: World) -> None:
    """A note that cannot be read back is set aside, and blocks nothing."""
    world.confirms = False
    await world.process([[said(10, "one")], [said(11, "two")]])
    world.orders.clear()
    world.confirms = True
    world.box.kinds[UPDATES]["100"].text = '{"raw": "{", "head": 100, "at": "now"}'
    await world.process()
    assert [order.text for order in world.orders.values()] == ["two"]
    assert world.open == []
    assert world.incidents.kinds == ["update_set_aside"]
    assert list(world.box.kinds["telegram:7000000001:bad"]) == ["100"]


async def test_bad_update_on_a_full_disk(world: World) -> None:
    """What cannot even be set aside is told, and tried again after the next start."""
    world.faults.fail("notes.put", StorageUnavailable("no"), times=None)
    await world.process([[{"message": {"text": "no chat"}}, said(10, "one")]])
    assert [order.text for order in world.orders.values()] == ["one"]
    assert world.open == ["100"]
    world.faults.clear()
    await world.process()
    assert world.open == []
    assert world.incidents.kinds == ["update_set_aside"]


async def test_surrogates(world: World) -> None:
    """Half a surrogate pair, which JSON may hold, is stored and read all the same."""
    world.confirms = False
    await world.process([[said(10, "half \ud83d pair", sender={"id": 5, "is_bot": False})]])
    world.orders.clear()
    await world.process()
    (order,) = world.orders.values()
    assert order.text == "half \ufffd pair"


def test_token_is_hidden() -> None:
    """Neither the settings nor what is wrong with them show the token."""
    assert TOKEN not in repr(TelegramConfig(token=TOKEN))
    with pytest.raises(ValueError, match="BotFather") as caught:
        TelegramConfig(token="7000000001 " + TOKEN[11:])
    assert TOKEN[11:] not in str(caught.value)
