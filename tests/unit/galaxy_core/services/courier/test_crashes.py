"""The courier killed at every single write of its deliveries, before it takes effect and after."""

from __future__ import annotations

from collections import Counter

import pytest

from galaxy_core.domain.letter import Letter
from galaxy_core.services.courier import Courier
from galaxy_core.testing.factories import make_letter
from tests.unit.galaxy_core.services.courier.world import World, chat, letter, notice

pytestmark = pytest.mark.anyio

UNKNOWN = {"notes.put", "channel.send", "outbox.record"}
"""Writes at which a kill leaves nobody knowing whether a part was sent."""


def lives() -> dict[str, list[Letter]]:
    """Letters whose deliveries are swept."""
    return {
        "one": [letter("a")],
        "in parts": [letter("a", message="abcdefg"), letter("b")],
        "to all": [make_letter(name="a", message="abcd"), letter("b", 2, order_id="o")],
    }


async def begin(life: str) -> World:
    """A gateway with letters waiting."""
    world = World(part_characters=3, people=[chat(1), chat(2)])
    await world.post(*lives()[life])
    return world


async def drain(world: World) -> int:
    """Start the courier again and again, as a service manager does; how often it was killed."""
    for kills in range(10):
        if not await world.run_until_killed():
            return kills
    raise AssertionError("it is killed for ever")


def check(world: World, life: str, *, repeats: int) -> None:
    """What must hold however often the courier was killed."""
    assert not world.home.waiting
    assert sorted(world.home.sent) == sorted(one.name for one in lives()[life])
    assert not world.lines("letter_undeliverable")
    assert not world.open_notes("sending"), "nothing is left behind"
    sendings = Counter(
        (part.letter.name, part.chat_id, part.receipt.part) for part in world.service.sent
    )
    for name, sent in world.home.sent.items():
        size = -(-len(sent.message) // 3)
        chats = ["chat-1", "chat-2"] if sent.chat_id is None else [sent.chat_id]
        for number in chats:
            parts = [r.part for r in sent.receipts if r.chat_id == number]
            assert parts == list(range(1, size + 1)), "each part has one receipt, in order"
            assert all(sendings[name, number, part] for part in parts), "it arrived"
    assert sum(sendings.values()) - len(sendings) <= repeats
    seen = set()
    for part in world.service.sent:
        key = (part.letter.name, part.chat_id, part.receipt.part)
        assert part.is_repeat or key not in seen, "who gets something twice is told so"
        seen.add(key)
    lines = [line.data for line in world.lines("letter_delivered")]
    for name in world.home.sent:
        plain = [d for d in lines if d["letter"] == name and not d.get("is_repeated")]
        every = [d for d in lines if d["letter"] == name]
        assert every, "every delivery is on record"
        assert len(plain) <= 1, "a line that is written again says so"
        assert name in {told for told, _ in world.told}, "the listener heard of it"


async def writes_of(life: str) -> list[str]:
    """The writes of an undisturbed delivery."""
    world = await begin(life)
    assert await drain(world) == 0
    check(world, life, repeats=0)
    assert not any(part.is_repeat for part in world.service.sent)
    return [write for write in world.faults.writes if write != "notes.prune"]


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("life", list(lives()))
async def test_killed_at_every_write(life: str, *, is_done: bool) -> None:
    """Every letter arrives; twice only where the kill cut a sending, and then it is marked."""
    for step, write in enumerate(await writes_of(life), start=1):
        world = await begin(life)
        world.faults.crash_at(step, is_done=is_done)
        assert await drain(world) == 1
        is_cut = (write, is_done) in {("channel.send", True), ("outbox.record", False)}
        # A letter to two chats travels side by side: a kill may cut both sendings.
        check(world, life, repeats=(2 if life == "to all" else 1) if is_cut else 0)
        if write not in UNKNOWN and life == "one":
            assert not any(part.is_repeat for part in world.service.sent)


@pytest.mark.parametrize("life", list(lives()))
async def test_killed_twice(life: str) -> None:
    """A second kill during the recovery from the first changes nothing."""
    total = len(await writes_of(life))
    for first in range(1, total + 1):
        for second in range(first + 1, total + 5, 2):
            world = await begin(life)
            world.faults.crash_at(first, is_done=True)
            world.faults.crash_at(second, is_done=bool(second % 4))
            await drain(world)
            check(world, life, repeats=4)


async def test_killed_for_ever_in_the_call() -> None:
    """A letter that kills the gateway each time is tried three times, then it is set aside."""
    world = await begin("one")
    for _ in range(3):
        world.faults.crash_at(len(world.faults.writes) + 2, is_done=True)
        await world.run_until_killed()
    await drain(world)
    assert len(world.parts("a")) == 3
    assert [part.is_repeat for part in world.parts("a")] == [False, True, True]
    assert list(world.home.undeliverable) == ["a"]
    assert "nobody can tell" in world.home.undeliverable["a"][1]
    assert [part.chat_id for part in world.service.sent][-1] == "chat-owner"


async def test_part_that_is_missing_is_sent() -> None:
    """A long letter that was interrupted goes on where it stopped, in every chat."""
    world = await begin("to all")
    steps = await writes_of("to all")
    sends = [number for number, write in enumerate(steps, start=1) if write == "channel.send"]
    world.faults.crash_at(sends[-1])
    assert await world.run_until_killed()
    before = len(world.service.sent)
    await drain(world)
    check(world, "to all", repeats=1)
    assert len(world.service.sent) - before <= 2


def cards(courier: Courier) -> None:
    """What a watcher does with one card, each time it starts."""
    courier.show("k", notice("first"), chat())
    courier.show("k", notice("second"), chat())
    courier.retire("k", notice("last"))


async def card_life(world: World) -> int:
    """Run the life of a card, again after each kill; how often it was killed."""
    for kills in range(10):
        if not await world.run_until_killed(cards):
            return kills
    raise AssertionError("it is killed for ever")


@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
async def test_card_is_one_message_whatever_happens(*, is_done: bool) -> None:
    """One status message an order: a kill leaves one, or none where nobody knows of it."""
    undisturbed = World()
    assert await card_life(undisturbed) == 0
    assert [c.card for c in undisturbed.service.cards.values()] == [notice("last")]
    writes = [write for write in undisturbed.faults.writes if write != "notes.prune"]
    for step in range(1, len(writes) + 1):
        world = World()
        world.faults.crash_at(step, is_done=is_done)
        # What is done after the last state is another life of the card, as the key is free again.
        is_over = writes[step - 1] == "notes.close" and is_done
        assert await card_life(world) == 1
        assert len(world.service.cards) <= (2 if is_over else 1), writes[step - 1]
        assert not world.open_notes("card")
