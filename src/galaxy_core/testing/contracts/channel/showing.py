"""Cards that change, and hints that may be missing."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.status import Draft, Hint, Notice, PressAnswered, Typing
from galaxy_core.testing.contracts.channel.harness import YES_NO, ChannelFeatures, ChannelHarness
from galaxy_core.testing.contracts.contract import (
    Contract,
    requires,
)
from galaxy_core.testing.factories import make_status


class ShowingContract(Contract):
    """What `show` and `hint` promise."""

    features: ClassVar[ChannelFeatures]

    @requires("shows_cards")
    async def test_newer_card_replaces_the_older(self, harness: ChannelHarness) -> None:
        """People see one message that changes, not a hundred."""
        channel = await harness.open()
        shown: str | None = None
        for text in ("first words", "later words", "later words"):
            shown = await channel.show(Notice(text=text), harness.address, shown)
            assert shown is not None
            await harness.elapse(timedelta(minutes=1))
        (text,) = await harness.texts()
        assert "later words" in text

    @requires("shows_cards", "survives_restart")
    async def test_card_is_changed_after_a_restart(self, harness: ChannelHarness) -> None:
        """The message's id is all that is needed to go on with it."""
        shown = await (await harness.open()).show(Notice(text="before"), harness.address)
        await harness.restart()
        channel = await harness.open()
        assert await channel.show(Notice(text="after"), harness.address, shown) == shown
        (text,) = await harness.texts()
        assert "after" in text

    @requires("shows_cards")
    async def test_card_that_is_gone_is_shown_anew(self, harness: ChannelHarness) -> None:
        """Who deleted a card sees the next state all the same."""
        channel = await harness.open()
        shown = await channel.show(Notice(text="first words"), harness.address)
        assert shown is not None
        await harness.delete(shown)
        anew = await channel.show(Notice(text="later words"), harness.address, shown)
        assert anew not in (None, shown)
        (text,) = await harness.texts()
        assert "later words" in text

    @requires("shows_cards")
    async def test_card_shows_what_an_order_does(self, harness: ChannelHarness) -> None:
        """Whoever waits sees that something happens, and what; any text is good enough."""
        channel = await harness.open()
        for tool in ("reading the figures", "*_`<b>", "x" * 20_000):
            progress = Progress(order_id=OrderId("a"), tool=tool, note=tool)
            await channel.show(make_status(progress=progress), harness.address)
        texts = await harness.texts()
        assert len(texts) == 3
        assert "reading the figures" in texts[0]
        assert "*_`<b>" in texts[1]

    @requires("shows_cards", "has_buttons")
    async def test_buttons_of_a_card_come_and_go(self, harness: ChannelHarness) -> None:
        """A question that was answered has nothing to press any more."""
        channel = await harness.open()
        shown = await channel.show(Notice(text="Sure?", buttons=YES_NO), harness.address)
        assert [list(row) for row in await harness.buttons()] == [["a:1:0", "a:1:1", "a:1:2"]]
        await channel.show(Notice(text="Sure? Yes."), harness.address, shown)
        assert [list(row) for row in await harness.buttons()] == [[]]

    async def test_hints_never_fail(self, harness: ChannelHarness) -> None:
        """A run is not held up because nobody can be given a hint, and no hint is a message."""
        channel = await harness.open()
        order = OrderId("a")
        hints: list[Hint] = [
            Typing(),
            *(Draft(order_id=order, text=text) for text in ("", "words", "x" * 20_000)),
            PressAnswered(press_id="long ago", text="Too late"),
        ]
        for hint in hints:
            await channel.hint(hint, harness.address)
        if self.features.has_unreachable_chats:
            await harness.make_unreachable()
            for hint in hints:
                await channel.hint(hint, harness.address)
        assert list(await harness.texts()) == []
