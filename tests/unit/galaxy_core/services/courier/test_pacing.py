"""How often chats are written to, whose turn it is, and being asked to wait."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from galaxy_core.domain.errors import StorageUnavailable, TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Draft, PressAnswered, Rate, Rates, Typing
from galaxy_core.testing.memory import MemoryChannel
from tests.unit.galaxy_core.services.courier.world import World, chat, letter, notice, seconds

pytestmark = pytest.mark.anyio

TELEGRAM = Rates(
    chat=Rate(every=seconds(1), burst=3),
    group=Rate(every=seconds(3), burst=2),
    total=Rate(every=timedelta(milliseconds=40), burst=1),
    edit_every=seconds(2),
    group_edit_every=seconds(4),
)


def times(world: World, number: int | str = 1) -> list[float]:
    """When the chat was sent its letters, in seconds after the start."""
    start = world.clock.now() - seconds(world.clock.monotonic())
    return [
        round((part.receipt.at - start).total_seconds(), 3)
        for part in world.service.sent
        if part.chat_id == f"chat-{number}"
    ]


async def test_chat_is_paced_after_its_burst() -> None:
    """A burst goes at once, then one letter in each `every`; a rest fills the burst again."""
    world = World(rates=Rates(chat=Rate(every=seconds(1), burst=3)))
    await world.post(*(letter(f"a{n}") for n in range(5)))
    async with world.running():
        await world.elapse(10)
        await world.post(*(letter(f"b{n}") for n in range(4)))
        await world.elapse(10)
    sent = times(world)
    assert [round(at, 2) for at in sent] == [0, 0, 0, 1, 2, 10, 10, 10, 11]


async def test_groups_have_a_rate_of_their_own() -> None:
    """Where several people read, the rate for groups counts."""
    world = World(rates=TELEGRAM, groups={"chat-2"})
    await world.post(*(letter(f"a{n}", 2) for n in range(4)))
    async with world.running():
        await world.elapse(20)
    assert [round(at) for at in times(world, 2)] == [0, 0, 3, 6]


async def test_album_counts_as_many() -> None:
    """A letter that became several messages makes the next one wait for all of them."""

    class Albums(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            receipt = await super().send(letter, address, part=part, is_repeat=is_repeat)
            ids = (*receipt.message_ids, "x", "y", "z")
            return Receipt(
                channel=receipt.channel, chat_id=receipt.chat_id, message_ids=ids, at=receipt.at
            )

    world = World(rates=Rates(chat=Rate(every=seconds(1))))
    await world.post(letter("a"), letter("b"))
    async with world.running(Albums(world.clock, world.service, rates=world.rates)):
        await world.elapse(10)
    assert [round(at) for at in times(world)] == [0, 4]


async def test_busy_chat_starves_nobody() -> None:
    """Chats take turns at the tokens that all of them share, however much one of them has."""
    world = World(rates=Rates(total=Rate(every=seconds(1))))
    await world.post(*(letter(f"a{n}") for n in range(500)))
    async with world.running():
        await world.elapse(10)
        await world.post(letter("b", 2), letter("c", 3), box=world.other)
        await world.elapse(4)
        assert {"b", "c"} <= set(world.names())
        assert len(world.service.sent) <= 16


async def test_letters_before_cards_before_hints() -> None:
    """When several chats want the last token, what matters most goes first."""
    world = World(rates=Rates(total=Rate(every=seconds(1))))
    order: list[str] = []

    class Watched(MemoryChannel):
        async def send(
            self, letter: Letter, address: Address, *, part: int = 1, is_repeat: bool = False
        ) -> Receipt:
            order.append("letter")
            return await super().send(letter, address, part=part, is_repeat=is_repeat)

        async def show(self, card: object, address: Address, message_id: str | None = None) -> str:
            order.append("card")
            return "1"

        async def hint(self, hint: object, address: Address) -> None:
            order.append("hint")

    async with world.running(Watched(world.clock, world.service, rates=world.rates)) as courier:
        await world.post(letter("first"))
        await world.until(lambda: order == ["letter"])
        courier.hint(Typing(), chat(2))
        courier.show("k", notice("x"), chat(3))
        await world.elapse(0.5)
        await world.post(letter("b", 4), letter("c", 5))
        await world.elapse(10)
    assert order == ["letter", "letter", "letter", "card", "hint"]


async def test_card_that_waits_becomes_a_letter() -> None:
    """A chat that waits for its turn with a card is as urgent as the letter that comes then."""
    world = World(rates=Rates(total=Rate(every=seconds(1))))
    await world.post(letter("x"))
    async with world.running() as courier:
        courier.show("k", notice("late"), chat(2))
        await world.post(*(letter(f"a{n}", 3) for n in range(5)))
        await world.elapse(0.5)
        await world.post(letter("b", 2))
        await world.elapse(3)
        assert "b" in world.names()
        assert not world.service.cards


async def test_answer_is_not_held_back_by_its_status() -> None:
    """Cards and hints leave a token to the answer, however often they change."""
    world = World(rates=TELEGRAM)
    async with world.running() as courier:
        for answer in range(5):
            for number in range(27):
                courier.show("k", notice(f"state {answer}-{number}"), chat())
                courier.hint(Typing(), chat())
                courier.hint(Draft(order_id=OrderId("o"), text=f"{number}"), chat())
                await world.elapse(0.23)
            await world.post(letter(f"answer {answer}"))
            await world.elapse(0.05)
            assert len(world.names()) == answer + 1, "at once, at whatever moment it comes"


async def test_answer_to_a_press_is_not_paced() -> None:
    """Who presses a button hears of it at once: also in a chat that is held or flooded."""
    world = World(rates=TELEGRAM)
    await world.post(*(letter(f"a{n}") for n in range(50)))
    pressed = PressAnswered(press_id="1", text="Done")
    async with world.running() as courier:
        await world.elapse(1)
        world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(300)))
        await world.elapse(5)
        before = len(world.service.sent)
        courier.hint(pressed, chat())
        await world.elapse(0)
        assert world.service.hints == [(chat(), pressed)]
        assert len(world.service.sent) == before
        world.faults.fail("channel.hint", TransientError("hiccup"), times=2)
        courier.hint(pressed, chat())
        await world.elapse(10)
        assert len(world.service.hints) == 2, "it is tried again"


async def test_press_that_cannot_be_answered_stops_nothing() -> None:
    """After some attempts it is of no use any more."""
    world = World()
    async with world.running() as courier:
        for error in (TransientError("down"), ZeroDivisionError()):
            world.faults.fail("channel.hint", error, times=50)
            courier.hint(PressAnswered(press_id="1"), chat())
            courier.hint(Typing(), chat())
            await world.elapse(600)
            world.faults.clear()
        await world.post(letter("a"))
        await world.until(lambda: world.names() == ["a"])


async def test_hints_grow_old() -> None:
    """A hint that cannot be given in time is dropped, not given late."""
    world = World(rates=Rates(total=Rate(every=seconds(30))))
    await world.post(letter("a"))
    async with world.running() as courier:
        courier.hint(Typing(), chat())
        await world.elapse(300)
        assert not world.service.hints
        await world.post(letter("b"))
        await world.until(lambda: world.names() == ["a", "b"])


async def test_draft_goes_when_the_answer_comes() -> None:
    """Nobody sees the draft of an answer that is about to stand there."""
    world = World(rates=Rates(chat=Rate(every=seconds(1), burst=2)))
    draft = Draft(order_id=OrderId("o"), text="half an ans")
    async with world.running() as courier:
        await world.post(letter("x"), letter("y"))
        await world.until(lambda: len(world.names()) == 2)
        courier.hint(draft, chat())
        await world.post(letter("answer", order_id="o"))
        await world.elapse(0)
        courier.hint(draft, chat())
        await world.elapse(10)
        assert world.names()[-1] == "answer"
        assert not world.service.hints


# ---- being asked to wait


@pytest.mark.parametrize("length", [0.001, 1, 45, 3_600, 200_000])
async def test_wait_that_was_asked_for_is_kept(length: float) -> None:
    """Nothing goes to a chat before `retry_after` is over; other chats never notice."""
    world = World()
    world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(length)))
    await world.post(letter("a"))
    async with world.running() as courier:
        await world.elapse(0)
        courier.show("k", notice("x"), chat())
        await world.post(letter("b", 2))
        await world.elapse(length * 0.9)
        assert world.names() == ["b"]
        assert not world.service.cards
        await world.elapse(length * 0.1 + 0.001)
        assert world.names() == ["b", "a"]
        assert not world.parts("a")[0].is_repeat, "nothing was delivered the first time"


async def test_wait_that_was_asked_for_is_on_record() -> None:
    """How often a channel slows us down can be counted, and whose letters it was."""
    world = World()
    world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(45)))
    await world.post(letter("a", order_id=OrderId("order-1")))
    async with world.running():
        await world.elapse(60)
    (line,) = world.lines("rate_limited")
    assert line.order_id == "order-1"
    assert (line.data["letter"], line.data["chat_id"], line.data["wait_s"]) == ("a", "chat-1", 45)


@pytest.mark.parametrize("length", [30, 600, 200_000])
async def test_wait_is_kept_over_restarts(length: float) -> None:
    """A restart, or many of them, does not begin the flood again."""
    world = World()
    world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(length)))
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(0)
    calls = world.faults.writes.count("channel.send")
    for _ in range(9):
        async with world.running() as courier:
            courier.show("k", notice("x"), chat())
            await world.elapse(length / 10)
    assert world.faults.writes.count("channel.send") == calls
    assert not world.service.cards
    async with world.running():
        await world.elapse(length / 10 + 1)
    assert world.names() == ["a"]


async def test_clock_that_was_set_makes_no_wait_longer() -> None:
    """After a restart a wait is never longer than it was asked for."""
    world = World()
    world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(60)))
    await world.post(letter("a"))
    async with world.running():
        await world.elapse(0)
    world.clock.jump(timedelta(days=-3))
    async with world.running():
        await world.elapse(61)
    assert world.names() == ["a"]


async def test_wait_for_a_card_or_a_hint_holds_the_chat() -> None:
    """Whatever call met the limit, the chat is left alone, and that is written down."""
    for operation in ["channel.show", "channel.hint"]:
        world = World()
        flood = TransientError("flood", retry_after=seconds(100))
        world.faults.fail(operation, flood)
        async with world.running() as courier:
            courier.show("k", notice("x"), chat())
            courier.hint(Typing(), chat())
            await world.elapse(1)
            await world.post(letter("a"))
            await world.elapse(98)
            assert not world.names(), operation
            assert world.open_notes("hold") == ["memory:chat-1"]
            await world.elapse(3)
            assert world.names() == ["a"], operation
            assert len(world.service.cards) == 1


async def test_wait_that_cannot_be_written_is_kept() -> None:
    """A disk that refuses is no reason to go on flooding."""
    world = World()
    world.faults.fail("channel.send", TransientError("flood", retry_after=seconds(100)))
    await world.post(letter("a"))
    async with world.running():
        world.faults.fail("notes.put", StorageUnavailable("disk full"), times=2)
        await world.elapse(99)
        assert not world.names()
        await world.elapse(10)
        assert world.names() == ["a"]


async def test_thousand_letters_are_quick() -> None:
    """Ten times the letters cost ten times the time, not a hundred times."""

    async def deliver(count: int, chats: int) -> float:
        world = World()
        world.rates = Rates(
            chat=Rate(every=timedelta(milliseconds=1)), total=Rate(every=timedelta(milliseconds=1))
        )
        await world.post(*(letter(f"l{n}", n % chats) for n in range(count)))
        began = time.process_time()
        async with world.running():
            while len(world.home.sent) < count:
                await world.clock.elapse(seconds(0.05))
        assert len(world.names()) == count
        return time.process_time() - began

    for chats in (1, 1000):
        small = min([await deliver(100, chats) for _ in range(3)])
        large = min([await deliver(1000, chats) for _ in range(2)])
        # A hundred times the time if it were quadratic.
        assert large < small * 40, f"{large:.2f} s for 1000 letters, {small:.2f} s for 100"
