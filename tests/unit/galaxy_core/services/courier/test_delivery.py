"""Letters from their outboxes to people's chats."""

from __future__ import annotations

import pytest

from galaxy_core.domain.errors import StorageUnavailable, TransientError
from galaxy_core.testing.factories import make_letter
from tests.unit.galaxy_core.services.courier.world import (
    CountingFaults,
    World,
    chat,
    letter,
    notice,
    seconds,
)

pytestmark = pytest.mark.anyio


async def test_letter_arrives_and_is_on_record() -> None:
    """What lies in an outbox reaches its chat, once, and its machine's trail says so."""
    world = World()
    await world.post(letter("a", topic="7", order_id="o-1"), box=world.other)
    async with world.running():
        assert [p.address for p in world.service.sent] == [chat(topic="7")]
    assert list(world.other.sent) == ["a"]
    (line,) = world.lines("letter_delivered", world.other_lines)
    (part,) = world.service.sent
    assert (line.machine, line.order_id) == ("other", "o-1")
    assert line.data == {
        "letter": "a",
        "channel": "memory",
        "chat_id": "chat-1",
        "receipts": [
            {
                "channel": "memory",
                "chat_id": "chat-1",
                "part": 1,
                "message_ids": list(part.receipt.message_ids),
            }
        ],
    }
    assert world.told == [("a", (part.receipt,))]
    assert not world.lines("letter_delivered"), "the other machine's trail has nothing of it"
    assert not world.open_notes("sending")


async def test_letters_keep_their_order() -> None:
    """In one chat letters arrive in the order in which they were posted, long ones whole."""
    world = World(part_characters=2)
    names = ["m", "a", "z", "b"]
    await world.post(*(letter(name, message=name * 3) for name in names))
    async with world.running():
        await world.post(letter("later"))
        await world.until(lambda: len(world.home.sent) == 5)
    assert world.names() == [*(n for name in names for n in [name] * 2), *["later"] * 3]
    assert [p.receipt.part for p in world.parts("later")] == [1, 2, 3]


async def test_letter_to_everybody() -> None:
    """Without a chat a letter goes to every authorised person, one line and one call for all."""
    world = World(people=[chat(1), chat(2), chat(2, topic="3"), chat(9, channel="web")])
    await world.post(make_letter(name="all"), make_letter(name="web", channel="web"))
    async with world.running():
        await world.until(lambda: bool(world.home.sent))
    assert sorted(p.chat_id for p in world.service.sent) == ["chat-1", "chat-2"]
    (line,) = world.lines("letter_delivered")
    assert len(line.data["receipts"]) == 2  # type: ignore[arg-type]
    assert "chat_id" not in line.data
    assert [len(receipts) for _, receipts in world.told] == [2]
    assert list(world.home.waiting) == ["web"]


async def test_letter_for_another_channel_is_left_alone() -> None:
    """What another gateway has to deliver stays where it is, and hides nothing behind it."""
    world = World()
    await world.post(*(letter(f"w{n}", channel="web") for n in range(600)), letter("a"))
    async with world.running():
        await world.until(lambda: bool(world.home.sent))
        await world.elapse(3600)
    assert list(world.home.sent) == ["a"]
    assert len(world.home.waiting) == 600
    assert world.names() == ["a"]


async def test_letter_waits_for_people() -> None:
    """While nobody is authorised a letter to everybody waits; who is let in gets it at once."""
    world = World(people=[])
    await world.post(make_letter(name="all"))
    async with world.running() as courier:
        await world.elapse(600)
        assert list(world.home.waiting) == ["all"]
        world.people.append(chat(5))
        courier.people_changed()
        await world.until(lambda: bool(world.home.sent))
    assert [p.chat_id for p in world.service.sent] == ["chat-5"]


async def test_letter_waits_for_people_without_being_told() -> None:
    """Nobody has to tell the courier of a new person: it looks now and then."""
    world = World(people=[])
    await world.post(make_letter(name="all"))
    async with world.running():
        await world.elapse(5)
        world.people.append(chat(5))
        await world.elapse(world.config.recipients_every.total_seconds())
        assert list(world.home.sent) == ["all"]


async def test_removed_person_gets_nothing_more() -> None:
    """Who was taken off the list while a letter waited for them does not get it."""
    world = World(people=[chat(1), chat(2)])
    world.faults.fail("channel.send", StorageUnavailable("down"), times=2)
    await world.post(make_letter(name="all"))
    async with world.running():
        await world.until(lambda: len(world.faults.writes) >= 4)
        world.people.remove(chat(2))
        await world.elapse(10)
    assert [p.chat_id for p in world.service.sent] == ["chat-1"]
    assert list(world.home.sent) == ["all"]


async def test_files_are_absolute_for_the_channel() -> None:
    """A relative path begins at the folder of the machine whose outbox the letter lies in."""
    world = World()
    files = ("out/a.pdf", "/tmp/b.png")  # noqa: S108 - a name, nothing is written
    await world.post(letter("a", files=files), box=world.other)
    async with world.running():
        await world.until(lambda: bool(world.other.sent))
    assert world.service.sent[0].files == ("/srv/other/out/a.pdf", "/tmp/b.png")  # noqa: S108
    assert world.other.sent["a"].files == files, "the letter itself stays as it was written"


async def test_failing_storage_delays_and_repeats_nothing() -> None:
    """A disk that refuses for a while costs time: no letter is lost, none comes twice."""
    operations = [
        "outbox.pending",
        "outbox.record",
        "outbox.mark_sent",
        "notes.put",
        "notes.list",
        "notes.close",
        "audit.record",
        "listener.delivered",
    ]
    for operation in operations:
        world = World(part_characters=3)
        await world.post(letter("a"), letter("b"))
        world.faults.fail(operation, StorageUnavailable("disk full"), times=3)
        async with world.running():
            await world.elapse(60)
        assert world.names() == ["a", "a", "b", "b"], operation
        assert sorted(world.home.sent) == ["a", "b"], operation
        assert not any(part.is_repeat for part in world.service.sent), operation


async def test_unexpected_exceptions_stop_nothing() -> None:
    """A bug in an adapter is logged and slept over; the courier goes on."""
    for operation in ["outbox.pending", "outbox.record", "outbox.mark_sent", "audit.record"]:
        world = World()
        await world.post(letter("a"), letter("b", 2))
        world.faults.fail(operation, ZeroDivisionError(), times=2)
        async with world.running():
            await world.elapse(60)
        assert sorted(world.names()) == ["a", "b"], operation
        assert sorted(world.home.sent) == ["a", "b"], operation


async def test_bug_of_a_listener_holds_no_letter() -> None:
    """What a listener makes of a delivery is its own matter."""
    world = World()
    await world.post(letter("a"))
    world.faults.fail("listener.delivered", ZeroDivisionError(), times=None)
    async with world.running():
        await world.until(lambda: bool(world.home.sent))
    assert world.names() == ["a"]


async def test_letter_that_came_unnoticed_is_found() -> None:
    """After the last letter in hand is looked again: one of them may have got a namesake."""
    world = World()
    await world.post(letter("a"))
    world.faults.fail("outbox.mark_sent", StorageUnavailable("down"), times=2)
    async with world.running():
        await world.until(lambda: world.names() == ["a"])
        world.home.waiting["b"] = letter("b")  # no notice is given
        await world.elapse(10)
        assert world.names() == ["a", "b"]


async def test_idle_costs_nothing() -> None:
    """Without letters nothing happens, but for the rare look at what was left alone."""
    faults = CountingFaults()
    world = World(faults=faults)
    async with world.running() as courier:
        sleepers = world.clock.sleepers
        await world.post(letter("a"))
        courier.show("k", notice("x"), chat())
        await world.elapse(60)
        assert world.clock.sleepers == sleepers, "no task is left that waits for a time"
        faults.operations.clear()
        await world.elapse(3000)
    assert set(faults.operations) == {"outbox.pending"}
    assert len(faults.operations) <= 2 * 11, "two outboxes, one look in five minutes each"


async def test_letters_that_wait_make_looking_no_dearer() -> None:
    """With many letters in hand looks are few, and a new one is still sent at once."""
    faults = CountingFaults()
    world = World(faults=faults)
    faults.fail("channel.send", TransientError("flood", retry_after=seconds(3600)))
    await world.post(*(letter(f"a{n}") for n in range(1000)))
    async with world.running():
        await world.elapse(1)
        faults.operations.clear()
        for number in range(100):
            await world.post(letter(f"b{number}", 2))
            await world.clock.elapse(seconds(0.01))
        await world.elapse(0.2)
        assert len(world.names()) == 100
        assert faults.operations.count("outbox.pending") <= 12
