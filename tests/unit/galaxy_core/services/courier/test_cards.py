"""Cards: one message each, newest state only."""

from __future__ import annotations

import pytest

from galaxy_core.domain.errors import DeliveryUnknown, PermanentError, TransientError
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Card, Rate, Rates
from galaxy_core.testing.memory import MemoryChannel
from galaxy_core.testing.memory.channel import ShownCard
from tests.unit.galaxy_core.services.courier.world import World, chat, letter, notice, seconds

pytestmark = pytest.mark.anyio

EDITS = Rates(edit_every=seconds(2), group_edit_every=seconds(5))


class Recording(MemoryChannel):
    """Remembers every state that was shown, and when."""

    states: list[tuple[float, str, str | None]]

    async def show(self, card: Card, address: Address, message_id: str | None = None) -> str | None:
        """Show it."""
        shown = await super().show(card, address, message_id)
        text = getattr(card, "text", "")
        self.states.append((round(self._clock.monotonic(), 1), text, message_id))
        return shown


def recording(world: World) -> Recording:
    """A new connection that remembers."""
    channel = Recording(world.clock, world.service, faults=world.faults, rates=world.rates)
    channel.states = []
    return channel


async def test_newest_state_only() -> None:
    """The first state goes out at once; then one edit in each `edit_every`, always the newest."""
    world = World(rates=EDITS)
    channel = recording(world)
    async with world.running(channel) as courier:
        for number in range(10):
            courier.show("k", notice(f"{number}"), chat())
            await world.elapse(0.5)
        courier.retire("k", notice("last"))
        await world.elapse(10)
    assert [text for _, text, _ in channel.states] == ["0", "4", "8", "last"]
    assert [at for at, _, _ in channel.states] == [0.0, 2.0, 4.0, 6.0]
    assert len(world.service.cards) == 1
    assert not world.open_notes("card")


async def test_groups_are_edited_less_often() -> None:
    """Where several people read, the pause between edits is the one for groups."""
    world = World(rates=EDITS, groups={"chat-1"})
    channel = recording(world)
    async with world.running(channel) as courier:
        for number in range(10):
            courier.show("k", notice(f"{number}"), chat())
            await world.elapse(1)
    assert [at for at, _, _ in channel.states] == [0.0, 5.0]


async def test_last_state_always_comes() -> None:
    """A card that was retired before it was ever shown is shown as it was last."""
    world = World()
    world.faults.fail("channel.show", TransientError("down"), times=6)
    async with world.running() as courier:
        courier.show("k", notice("first"), chat())
        courier.retire("k", notice("last"))
        courier.show("k", notice("too late"), chat())
        courier.retire("k", notice("too late"))
        await world.elapse(600)
    assert [shown.card for shown in world.service.cards.values()] == [notice("last")]
    assert not world.open_notes("card")


async def test_retiring_without_a_state_leaves_the_last_one() -> None:
    """What was given last stands; the message is forgotten, so the key is free again."""
    world = World()
    async with world.running() as courier:
        courier.show("k", notice("one"), chat())
        courier.retire("k", None)
        await world.elapse(1)
        assert not world.open_notes("card")
        courier.show("k", notice("two"), chat())
        courier.retire("unknown", notice("x"))
        await world.elapse(1)
    assert [shown.card for shown in world.service.cards.values()] == [notice("one"), notice("two")]


async def test_restart_goes_on_with_the_same_message() -> None:
    """One status message an order, however often the gateway starts."""
    world = World()
    for number in range(4):
        async with world.running() as courier:
            courier.show("k", notice(f"{number}"), chat(topic="7"))
            await world.elapse(1)
    async with world.running() as courier:
        courier.retire("k", notice("last"))
        await world.elapse(1)
    (shown,) = world.service.cards.values()
    assert (shown.card, shown.address) == (notice("last"), chat(topic="7"))
    assert not world.open_notes("card")


async def test_what_was_asked_for_before_the_start_is_done() -> None:
    """Whoever starts first need not wait for the courier."""
    world = World()
    async with world.running() as courier:
        courier.show("k", notice("one"), chat())
        await world.elapse(1)
    world.faults.fail("notes.list", TransientError("locked"), times=3)
    async with world.running() as courier:
        courier.show("k", notice("two"), chat())
        courier.retire("k", None)
        await world.elapse(30)
    assert [shown.card for shown in world.service.cards.values()] == [notice("two")]


async def test_first_showing_of_unknown_outcome_is_not_repeated() -> None:
    """Rather no status than two of them."""
    for is_done in (False, True):
        world = World()
        world.faults.fail("channel.show", DeliveryUnknown("cut"), is_done=is_done)
        async with world.running() as courier:
            courier.show("k", notice("one"), chat())
            await world.elapse(5)
            courier.show("k", notice("two"), chat())
            await world.elapse(60)
        async with world.running() as courier:
            courier.show("k", notice("three"), chat())
            await world.elapse(60)
            courier.retire("k", notice("last"))
            await world.elapse(1)
        assert len(world.service.cards) == int(is_done)
        assert not world.open_notes("card")


async def test_edit_of_unknown_outcome_is_repeated() -> None:
    """An edit does no harm twice."""
    world = World()
    async with world.running() as courier:
        courier.show("k", notice("one"), chat())
        await world.elapse(1)
        world.faults.fail("channel.show", DeliveryUnknown("cut"), is_done=True)
        courier.retire("k", notice("two"))
        await world.elapse(10)
        assert not world.open_notes("card")
    assert [shown.card for shown in world.service.cards.values()] == [notice("two")]
    assert world.faults.writes.count("channel.show") == 3


async def test_passing_failure_takes_the_intent_back() -> None:
    """A first showing that failed for certain may be tried again, also after a restart."""
    world = World()
    world.faults.fail("channel.show", TransientError("down"), times=None)
    async with world.running() as courier:
        courier.show("k", notice("one"), chat())
        await world.elapse(1)
        assert not world.open_notes("card")
    world.faults.clear()
    async with world.running() as courier:
        courier.show("k", notice("two"), chat())
        await world.elapse(10)
    assert [shown.card for shown in world.service.cards.values()] == [notice("two")]


async def test_same_state_is_shown_once() -> None:
    """A state that stands there already costs no call."""
    world = World()
    async with world.running() as courier:
        for _ in range(5):
            courier.show("k", notice("one"), chat())
            await world.elapse(5)
        courier.retire("k", notice("one"))
        await world.elapse(5)
        assert not world.open_notes("card")
    assert world.faults.writes.count("channel.show") == 1


async def test_cards_of_a_chat_take_turns() -> None:
    """A card that changes all the time does not keep another one from being shown."""
    world = World(rates=Rates(chat=Rate(every=seconds(1))))
    channel = recording(world)
    async with world.running(channel) as courier:
        for number in range(40):
            courier.show("a", notice(f"a{number}"), chat())
            courier.show("b", notice(f"b{number}"), chat())
            await world.elapse(0.25)
    shown = "".join(text[0] for _, text, _ in channel.states)
    assert shown in {"ab" * 5, "ba" * 5}


async def test_letter_goes_before_a_card_of_its_chat() -> None:
    """In one chat letters come first, cards after them."""
    world = World()
    await world.post(letter("a"), letter("b"))
    async with world.running() as courier:
        courier.show("k", notice("x"), chat())
        await world.elapse(1)
    calls = [write for write in world.faults.writes if write.startswith("channel.")]
    assert calls == ["channel.send", "channel.send", "channel.show"]


async def test_message_that_the_caller_knows() -> None:
    """A letter that was delivered can be changed; nothing is remembered of it."""
    world = World(rates=EDITS)
    channel = recording(world)
    world.service.cards["42"] = ShownCard(chat(), notice("question"))
    async with world.running(channel) as courier:
        courier.show("ask-1", notice("Answered: yes"), chat(), message_id="42")
        await world.elapse(10)
        courier.show("ask-1", notice("Over"), chat(), message_id="42")
        await world.elapse(10)
    assert channel.states == [(0.0, "Answered: yes", "42"), (10.0, "Over", "42")]
    assert "card" not in world.notes.kinds


async def test_refused_states_and_bugs_stop_nothing() -> None:
    """A state that cannot be shown is dropped; the next one, and letters, are not harmed."""
    for error in (PermanentError("too long"), ZeroDivisionError()):
        world = World()
        async with world.running() as courier:
            courier.show("k", notice("one"), chat())
            await world.elapse(1)
            world.faults.fail("channel.show", error)
            courier.show("k", notice("bad"), chat())
            await world.elapse(1)
            courier.show("k", notice("two"), chat())
            await world.elapse(1)
            world.faults.fail("notes.put", error)
            courier.show("l", notice("three"), chat())
            await world.post(letter("a"))
            await world.elapse(60)
        shown = [getattr(s.card, "text", "") for s in world.service.cards.values()]
        assert shown == ["two", "three"]
        assert world.names() == ["a"]


async def test_unreachable_chat_is_shown_nothing_more() -> None:
    """A chat that is gone is not tried with each new state."""
    world = World()
    world.service.blocked.add("chat-1")
    async with world.running() as courier:
        for number in range(5):
            courier.show("k", notice(f"{number}"), chat())
            await world.elapse(1)
        courier.retire("k", notice("last"))
        await world.elapse(1)
    assert world.faults.writes.count("channel.show") == 1
    assert not world.open_notes("card")


async def test_channel_without_cards() -> None:
    """Where a channel shows no cards it is asked once for each."""

    class Plain(MemoryChannel):
        calls = 0

        async def show(
            self, card: Card, address: Address, message_id: str | None = None
        ) -> str | None:
            type(self).calls += 1
            return None

    world = World()
    async with world.running(Plain(world.clock, world.service)) as courier:
        for number in range(5):
            courier.show("k", notice(f"{number}"), chat())
            await world.elapse(1)
        courier.retire("k", None)
        await world.elapse(1)
    assert Plain.calls == 1
    assert not world.open_notes("card")


async def test_channel_that_is_not_served() -> None:
    """Cards and hints for a channel of another gateway are nobody's trouble here."""
    world = World()
    async with world.running() as courier:
        courier.show("k", notice("x"), chat(channel="web"))
        await world.elapse(1)
    assert not world.service.cards
