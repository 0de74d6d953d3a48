"""Channels that fail, outcomes that nobody knows, chats that are gone."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.errors import (
    DeliveryUnknown,
    PermanentError,
    StorageUnavailable,
    TransientError,
)
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.services.courier.returns import ALERT, NOTICE
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_letter
from galaxy_core.testing.faults import Crash
from galaxy_core.testing.memory import MemoryChannel
from tests.unit.galaxy_core.services.courier.world import (
    World,
    chat,
    letter,
    notice,
    seconds,
)

pytestmark = pytest.mark.anyio


def alerts(world: World) -> list[str]:
    """Chats that were sent an alert."""
    return [part.chat_id for part in world.service.sent if part.letter.name.startswith(ALERT)]


# ---- passing failures


async def test_passing_failure_is_tried_for_ever() -> None:
    """However long a channel is down, the letter arrives, at most a ceiling after it is up."""
    world = World()
    world.faults.fail("channel.send", TransientError("down"), times=None)
    await world.post(letter("a"), letter("b"))
    async with world.running():
        await world.elapse(3600 * 24)
        tries = world.faults.writes.count("channel.send")
        hourly = tries / 24
        assert 12 <= hourly <= 2 * 12.5, "twelve an hour, and the next letter after each"
        world.faults.clear()
        await world.elapse(301)
    assert world.names() == ["a", "b"]
    assert not any(part.is_repeat for part in world.service.sent)
    assert list(world.home.undeliverable) == []


async def test_chat_in_trouble_holds_nobody_up() -> None:
    """One chat that fails, hangs or breaks the adapter is its own matter."""

    class Troubled(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            if address.chat_id == "chat-hangs":
                await anyio.sleep_forever()
            if address.chat_id == "chat-fails":
                raise TransientError("no")
            if address.chat_id == "chat-breaks":
                raise ZeroDivisionError
            return await super().send(letter, address, part=part, is_repeat=is_repeat)

    world = World(people=[chat("hangs"), chat("fails"), chat("breaks"), chat(1)])
    await world.post(make_letter(name="all"), *(letter(f"a{n}") for n in range(3)))
    async with world.running(Troubled(world.clock, world.service)):
        await world.elapse(1000)
        assert world.names()[:4] == ["all", "a0", "a1", "a2"]
        assert alerts(world) == ["chat-owner"], "about the chat that breaks the adapter"
        assert list(world.home.waiting) == ["all"], "those who are left are not forgotten"


# ---- letters that are stuck


class Choosy(MemoryChannel):
    """A channel that never takes letters whose text begins with "bad": 5xx, say."""

    error: ClassVar = TransientError("server error")

    async def send(
        self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
    ) -> Receipt:
        """Send it, or not."""
        if letter.message.startswith("bad"):
            raise self.error
        return await super().send(letter, address, part=part, is_repeat=is_repeat)


async def test_letter_that_never_goes_out_blocks_no_chat() -> None:
    """After minutes the next one goes past it; when others keep arriving it is set aside."""
    world = World()
    await world.post(letter("a", message="bad", order_id="o-1"), letter("b"), letter("c"))
    async with world.running(Choosy(world.clock, world.service)):
        await world.elapse(100)
        assert world.names() == [], "so far it may be the channel"
        await world.elapse(60)
        assert world.names() == ["b", "c"]
        for number in range(5):
            await world.post(letter(f"d{number}"))
            await world.elapse(300)
    reason = world.home.undeliverable["a"][1]
    assert "server error" in reason
    assert not world.home.waiting
    assert len(world.lines("letter_undeliverable")) == 1
    assert alerts(world) == ["chat-owner"]
    (told,) = [part for part in world.service.sent if part.letter.name.startswith(NOTICE)]
    assert told.chat_id == "chat-1"
    assert "/history o-1" in told.text


async def test_several_stuck_letters_block_no_chat() -> None:
    """One after the other is found out, and what is behind them arrives."""
    world = World()
    await world.post(*(letter(f"bad-{n}", message="bad") for n in range(4)), letter("good"))
    async with world.running(Choosy(world.clock, world.service)):
        await world.elapse(3600)
        assert world.names() == ["good"]
        for number in range(4):
            await world.post(letter(f"d{number}"))
            await world.elapse(300)
    assert sorted(world.home.undeliverable) == [f"bad-{n}" for n in range(4)]


async def test_status_that_arrives_is_proof_too() -> None:
    """A stuck answer is found out though nobody is answered: its chat shows how orders get on."""
    world = World()
    await world.post(letter("a", message="bad"))
    async with world.running(Choosy(world.clock, world.service)) as courier:
        await world.elapse(600)
        for number in range(4):
            courier.show("k", notice(str(number)), chat())
            await world.elapse(300)
    assert list(world.home.undeliverable) == ["a"]


async def test_stuck_letter_alone_is_tried_on() -> None:
    """Without a proof that the chat can be reached nothing is given up."""
    world = World()
    await world.post(letter("a", message="bad"))
    async with world.running(Choosy(world.clock, world.service)):
        await world.elapse(3600 * 24)
    assert list(world.home.waiting) == ["a"]
    assert alerts(world) == []


async def test_letter_that_our_own_disk_refuses_is_waited_for() -> None:
    """A channel that keeps what it shows may have no room for one with files: others go past it."""

    class Full(Choosy):
        error: ClassVar = StorageUnavailable("no space")

    world = World()
    await world.post(letter("a", message="bad"))
    async with world.running(Full(world.clock, world.service)):
        for number in range(10):
            await world.elapse(300)
            await world.post(letter(f"d{number}"))
        assert list(world.home.waiting) == ["a", "d9"]
        assert len(world.names()) == 9


async def test_order_survives_an_outage() -> None:
    """What waited while the channel was away arrives in its order."""
    world = World()
    world.faults.fail("channel.send", TransientError("down"), times=None)
    await world.post(*(letter(f"a{number}") for number in range(5)))
    async with world.running():
        await world.elapse(3600)
        world.faults.clear()
        await world.elapse(301)
    assert world.names() == [f"a{number}" for number in range(5)]


async def test_trouble_that_passes_is_forgotten() -> None:
    """A letter that goes out after a bad time starts with a clean record at its next part."""

    class Moody(MemoryChannel):
        failures: ClassVar = Counter[int]()

        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            self.failures[part] += 1
            if self.failures[part] <= 10:
                raise TransientError("server error")
            return await super().send(letter, address, part=part, is_repeat=is_repeat)

    world = World(part_characters=3)
    await world.post(letter("a", message="abcdef"))
    channel = Moody(world.clock, world.service, part_characters=3)
    async with world.running(channel) as courier:
        for number in range(20):
            courier.show("k", notice(str(number)), chat())
            await world.elapse(100)
    assert [part.receipt.part for part in world.parts("a")] == [1, 2]
    assert channel.failures == {1: 11, 2: 11}


# ---- unknown outcomes


@pytest.mark.parametrize("is_done", [False, True], ids=["lost", "arrived"])
async def test_unknown_outcome_is_repeated_once(*, is_done: bool) -> None:
    """When the answer is lost the part is sent again, marked, and the letter goes on."""
    world = World(part_characters=3)
    world.faults.fail("channel.send", DeliveryUnknown("cut"), is_done=is_done)
    await world.post(letter("a", message="abcdef"))
    async with world.running():
        await world.elapse(0)
        assert len(world.service.sent) == int(is_done), "not at once"
        await world.elapse(5)
    marks = [(part.receipt.part, part.is_repeat) for part in world.service.sent]
    assert marks == [*([(1, False)] if is_done else []), (1, True), (2, False)]
    (unknown,) = world.lines("delivery_unknown")
    assert unknown.data["letter"] == "a"
    assert world.lines("letter_delivered")[0].data["is_repeat"] is True


async def test_outcome_unknown_three_times_ends() -> None:
    """The third sending comes after ten minutes and is the last: no loop, an alert instead."""
    world = World()
    world.faults.fail("channel.send", DeliveryUnknown("cut"), is_done=True, times=3)
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(590)
        assert len(world.parts("a")) == 2
        await world.elapse(20)
    assert [part.is_repeat for part in world.parts("a")] == [False, True, True]
    assert list(world.home.undeliverable) == ["a"]
    assert "nobody can tell" in world.home.undeliverable["a"][1]
    assert len(world.lines("delivery_unknown")) == 3
    assert len(world.lines("letter_undeliverable")) == 1
    assert alerts(world) == ["chat-owner"]


async def test_delivery_to_some_is_marked_when_it_is_recorded_again() -> None:
    """One chat has it, the other was given up, and the gateway dies before it is put away."""

    class DeafToSome(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            if address == chat(2):
                raise DeliveryUnknown("cut")
            return await super().send(letter, address, part=part, is_repeat=is_repeat)

    world = World(people=[chat(1), chat(2)])
    world.faults.fail("outbox.mark_sent", StorageUnavailable("full"), times=None)
    await world.post(make_letter(name="a", chat_id=None))
    for _ in range(2):
        async with world.running(DeafToSome(world.clock, world.service)):
            await world.elapse(1000)
        world.faults.clear()
    assert "a" in world.home.sent
    lines = [line.data for line in world.lines("letter_delivered") if line.data["letter"] == "a"]
    assert [line.get("is_repeated") for line in lines] == [None, True]


async def test_pause_before_the_last_try_is_kept_over_a_restart() -> None:
    """Starting again is no reason to send a third time at once."""
    world = World()
    world.faults.fail("channel.send", DeliveryUnknown("cut"), is_done=True, times=2)
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(60)
    async with world.running():
        await world.elapse(500)
        assert len(world.parts("a")) == 2
        await world.elapse(100)
    assert len(world.parts("a")) == 3
    assert list(world.home.sent) == ["a"]


async def test_letters_go_past_one_that_waits_for_its_last_try() -> None:
    """A chat is not silent for ten minutes over one letter, after a restart neither."""
    world = World()
    world.faults.fail("channel.send", DeliveryUnknown("cut"), is_done=True, times=2)
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(60)
    await world.post(letter("b"))
    async with world.running():
        await world.elapse(60)
        assert len(world.parts("b")) == 1
        assert len(world.parts("a")) == 2
        await world.post(letter("c"))
        await world.elapse(5)
        assert len(world.parts("c")) == 1
        await world.elapse(600)
    assert len(world.parts("a")) == 3
    assert sorted(world.home.sent) == ["a", "b", "c"]


async def test_known_failure_is_no_repeat() -> None:
    """A call that failed for certain takes its intent back: the next one is not marked."""
    world = World()
    world.faults.fail("channel.send", TransientError("down"))
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(0)
        assert not world.open_notes("sending")
    async with world.running():
        await world.elapse(5)
    assert [part.is_repeat for part in world.parts("a")] == [False]


async def test_broken_adapter_ends_in_an_alert() -> None:
    """An adapter that breaks on a letter is not asked for ever, and nothing dies of it."""
    world = World()
    world.faults.fail("channel.send", ZeroDivisionError(), times=3)
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(700)
        await world.post(letter("b"))
        await world.elapse(5)
    assert list(world.home.undeliverable) == ["a"]
    assert "b" in world.home.sent
    assert alerts(world) == ["chat-owner"]


# ---- letters that cannot be delivered


async def test_unreachable_chat_is_reported_and_its_letters_are_kept() -> None:
    """A blocked bot: the letter is kept, the owners hear of it once, the trail each time."""
    world = World(owners=[chat("owner"), chat("second")])
    world.service.blocked.add("chat-1")
    await world.post(*(letter(f"a{n}", order_id="o") for n in range(3)), box=world.other)
    async with world.running():
        await world.elapse(10)
    assert list(world.other.undeliverable) == ["a0", "a1", "a2"]
    assert alerts(world) == ["chat-owner", "chat-second"]
    assert "chat-1" in world.service.sent[0].text
    lines = world.lines("letter_undeliverable", world.other_lines)
    assert [(line.order_id, line.data["chat_id"]) for line in lines] == [("o", "chat-1")] * 3
    assert not world.open_notes("sending")


async def test_no_alerts_about_alerts() -> None:
    """When owners cannot be reached either, that is on record, and that is all."""
    world = World(owners=[chat("owner"), chat(1)])
    world.service.blocked |= {"chat-1", "chat-owner"}
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(3600)
    assert len(world.lines("letter_undeliverable")) == 2
    assert not world.service.sent
    assert len(world.home.undeliverable) == 2


async def test_only_owner_unreachable() -> None:
    """An alert does not go to the chat that it is about."""
    world = World(owners=[chat(1)])
    world.service.blocked.add("chat-1")
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(60)
    assert list(world.home.undeliverable) == ["a"]
    assert len(world.lines("letter_undeliverable")) == 1


async def test_letter_to_several_reaches_the_others() -> None:
    """Who can be reached gets a letter to everybody, and it counts as sent."""
    world = World(people=[chat(1), chat(2), chat(3)])
    world.service.blocked.add("chat-2")
    await world.post(make_letter(name="all"))
    async with world.running():
        await world.elapse(10)
    assert [p.chat_id for p in world.parts("all")] == ["chat-1", "chat-3"]
    assert "all" in world.home.sent
    assert alerts(world) == ["chat-owner"]


async def test_chat_that_was_given_up_is_told_of_once() -> None:
    """A letter that waits for one chat tells nobody of another one again at each start."""

    class DownForOne(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            if address == chat(1):
                raise TransientError("down")
            return await super().send(letter, address, part=part, is_repeat=is_repeat)

    world = World(people=[chat(1), chat(2)])
    world.service.blocked.add("chat-2")
    await world.post(make_letter(name="all"))
    for _ in range(3):
        async with world.running(DownForOne(world.clock, world.service)):
            await world.elapse(10)
    async with world.running():
        await world.elapse(10)
    assert [p.chat_id for p in world.parts("all")] == ["chat-1"]
    assert "all" in world.home.sent
    assert len(world.lines("letter_undeliverable")) == 1
    assert alerts(world) == ["chat-owner"]
    assert world.open_notes("sending") == []


async def test_letter_to_several_whom_nobody_reaches() -> None:
    """A letter to everybody that nobody gets is set aside, not called sent."""
    world = World(people=[chat(1), chat(2)])
    world.service.blocked |= {"chat-1", "chat-2"}
    await world.post(make_letter(name="all"))
    async with world.running():
        await world.elapse(10)
    assert list(world.home.undeliverable) == ["all"]
    assert "all" not in {line.data["letter"] for line in world.lines("letter_delivered")}


async def test_refused_letter_is_set_aside() -> None:
    """A letter that the channel can never send makes room for the next one."""
    world = World()
    world.faults.fail("channel.send", PermanentError("the picture is broken"))
    await world.post(letter("a"), letter("b"))
    async with world.running():
        await world.elapse(10)
    assert world.home.undeliverable["a"][1] == "the picture is broken"
    assert "b" in world.home.sent
    assert alerts(world) == ["chat-owner"]
    assert "a" in world.parts(next(n for n in world.names() if n.startswith(ALERT)))[0].text


async def test_giving_up_waits_for_the_disk() -> None:
    """Without the record and the alert a letter is not set aside."""
    for operation in ["audit.record", "outbox.post", "outbox.set_aside"]:
        world = World()
        world.service.blocked.add("chat-1")
        world.faults.fail(operation, StorageUnavailable("disk full"), times=2)
        await world.post(letter("a"))
        async with world.running():
            await world.elapse(30)
        assert list(world.home.undeliverable) == ["a"], operation
        assert alerts(world) == ["chat-owner"], operation


async def test_killed_while_giving_up() -> None:
    """Killed at any write on the way: set aside in the end, one alert, on record."""

    async def begin() -> World:
        world = World()
        world.service.blocked.add("chat-1")
        await world.post(letter("a"))
        return world

    world = await begin()
    await world.run_until_killed()
    for step in range(1, len(world.faults.writes) + 1):
        for is_done in (False, True):
            world = await begin()
            world.faults.crash_at(step, is_done=is_done)
            while await world.run_until_killed():
                pass
            assert list(world.home.undeliverable) == ["a"]
            assert world.lines("letter_undeliverable")
            assert 1 <= len(alerts(world)) <= 2, "twice where the kill cut its sending"
            assert len({part.letter.name for part in world.service.sent}) == 1


# ---- stopping


async def test_sending_that_was_begun_is_ended() -> None:
    """A courier that is stopped lets the call end and writes the receipt: nothing is repeated."""

    class Slow(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            await settle(20)
            receipt = await super().send(letter, address, part=part, is_repeat=is_repeat)
            await settle(20)
            return receipt

    world = World()
    world.config = evolve(world.config, stop_deadline=seconds(10))
    await world.post(letter("a"), letter("b"))
    courier = world.courier(Slow(world.clock, world.service))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(courier.run)
        await world.until(lambda: "notes.put" in world.faults.writes)
        tasks.cancel_scope.cancel()
    assert world.names() == ["a"]
    assert list(world.home.sent) == ["a"]
    assert list(world.home.waiting) == ["b"]
    assert not world.open_notes("sending")


async def test_sending_that_hangs_is_cut() -> None:
    """A call that does not end holds the stop up for no longer than the deadline."""

    class Hanging(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            await anyio.sleep_forever()
            raise AssertionError("unreachable")

    world = World()
    await world.post(letter("a"))
    with anyio.fail_after(5):
        async with world.running(Hanging(world.clock, world.service)):
            await world.until(lambda: "notes.put" in world.faults.writes)
    assert world.open_notes("sending"), "what was cut is known to be unknown"


async def test_notes_do_not_pile_up() -> None:
    """What is over is forgotten, keys included."""
    world = World()
    await world.post(*(letter(f"a{n}") for n in range(20)))
    async with world.running():
        await world.elapse(world.config.prune_every.total_seconds() + 1)
    assert not world.notes.kinds.get("sending")


async def test_crash_is_not_stopped() -> None:
    """What is no error of a channel ends the courier: a supervisor starts it again."""
    world = World()
    world.faults.fail("channel.send", Crash())
    await world.post(letter("a"))
    assert await world.run_until_killed()
