"""The contract of `Outbox`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.letter import LetterFormat, Severity
from galaxy_core.ports.outbox import LetterCount, Outbox
from galaxy_core.testing.contracts.contract import (
    PROMPT_SECONDS,
    Contract,
    nasty_texts,
    requires,
)
from galaxy_core.testing.contracts.harness import (
    Harness,
    StoreFeatures,
    expect_timeout,
    expect_waking,
)
from galaxy_core.testing.factories import make_letter, make_receipt


class OutboxHarness(Harness[Outbox]):
    """An empty outbox, and a look at what became of its letters."""

    @abstractmethod
    async def sent(self) -> Sequence[str]:
        """Names of the letters kept as sent."""

    @abstractmethod
    async def undeliverable(self) -> dict[str, str]:
        """Names of the letters set aside, with the reason."""


class OutboxContract(Contract):
    """Everything that an `Outbox` owes its callers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_outbox_says_so(self, harness: OutboxHarness) -> None:
        """A letter that could not be posted is not thought to be: `StorageUnavailable`."""
        outbox = await harness.open()
        first, second = make_letter(), make_letter()
        await outbox.post(first)
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await outbox.post(second)
        assert [letter.name for letter in await outbox.pending()] == [first.name]
        assert await outbox.post(second)
        names = [letter.name for letter in await outbox.pending()]
        assert names == [first.name, second.name]

    async def test_letter_posted_twice_is_one_letter(self, harness: OutboxHarness) -> None:
        """Who does not know whether it posted posts again: nobody gets two letters."""
        outbox = await harness.open()
        assert await outbox.post(make_letter(name="a", message="first"))
        assert not await outbox.post(make_letter(name="a", message="second"))
        assert [letter.message for letter in await outbox.pending()] == ["first"]

    async def test_letter_posted_after_it_was_sent_is_not_sent_again(
        self, harness: OutboxHarness
    ) -> None:
        """The name is remembered beyond the delivery."""
        outbox = await harness.open()
        letter = make_letter(name="a")
        await outbox.post(letter)
        await outbox.mark_sent((await outbox.pending())[0])
        assert not await outbox.post(letter)
        assert list(await outbox.pending()) == []

    async def test_concurrent_posts_of_one_letter_are_one_letter(
        self, harness: OutboxHarness
    ) -> None:
        """Two workers that settle the same order post one letter."""
        outbox = await harness.open()
        posted: list[bool] = []

        async def post() -> None:
            posted.append(await outbox.post(make_letter(name="a")))

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(post, name="post")
        assert sorted(posted) == [False] * 5 + [True]
        assert len(await outbox.pending()) == 1

    async def test_delivery_goes_on_at_the_missing_part(self, harness: OutboxHarness) -> None:
        """What reached a chat is remembered with the letter, part by part."""
        outbox = await harness.open()
        await outbox.post(make_letter(name="a"))
        letter = (await outbox.pending())[0]
        first = make_receipt(part=1, is_last=False, at=harness.now())
        second = make_receipt(part=2, chat_id="chat-2", message_ids=("7", "8"), at=harness.now())
        letter = await outbox.record(letter, first)
        assert letter.receipts == (first,)
        letter = await outbox.record(letter, second)
        assert letter.receipts == (first, second)
        if self.features.survives_restart:
            await harness.restart()
            outbox = await harness.open()
        assert [letter.receipts for letter in await outbox.pending()] == [(first, second)]

    async def test_sent_letter_is_kept(self, harness: OutboxHarness) -> None:
        """A delivered letter no longer waits, and stays on record; safe twice."""
        outbox = await harness.open()
        await outbox.post(make_letter(name="a"))
        await outbox.post(make_letter(name="b"))
        letter = (await outbox.pending())[0]
        letter = await outbox.record(letter, make_receipt(at=harness.now()))
        await outbox.mark_sent(letter)
        await outbox.mark_sent(letter)
        assert [letter.name for letter in await outbox.pending()] == ["b"]
        assert list(await harness.sent()) == ["a"]

    async def test_undeliverable_letter_is_kept_with_its_reason(
        self, harness: OutboxHarness
    ) -> None:
        """What nobody can get is neither tried for ever nor thrown away."""
        outbox = await harness.open()
        await outbox.post(make_letter(name="a"))
        await outbox.set_aside((await outbox.pending())[0], "the chat is gone")
        assert list(await outbox.pending()) == []
        assert await harness.sent() == []
        aside = await harness.undeliverable()
        assert list(aside) == ["a"]
        assert "the chat is gone" in aside["a"]

    async def test_letter_posted_after_it_was_set_aside_is_not_tried_again(
        self, harness: OutboxHarness
    ) -> None:
        """A worker that answers once more after a crash does not begin a hopeless delivery anew."""
        outbox = await harness.open()
        letter = make_letter()
        await outbox.post(letter)
        await outbox.set_aside(letter, "the chat is gone")
        assert not await outbox.post(letter)
        assert list(await outbox.pending()) == []
        assert list(await harness.undeliverable()) == [letter.name]

    async def test_oldest_letter_comes_first(self, harness: OutboxHarness) -> None:
        """Letters go out in the order in which they came in; a limit keeps the oldest."""
        outbox = await harness.open()
        names = ["m", "z", "a", "k", "b"]
        for name in names:
            await outbox.post(make_letter(name=name, timestamp=harness.now()))
            await harness.elapse(harness.tick)
        assert [letter.name for letter in await outbox.pending()] == names
        assert [letter.name for letter in await outbox.pending(limit=2)] == names[:2]

    async def test_letters_in_hand_are_skipped(self, harness: OutboxHarness) -> None:
        """Letters that cannot go out now never hide those behind them, however many they are."""
        outbox = await harness.open()
        for name in ["a", "b", "c", "d"]:
            await outbox.post(make_letter(name=name, timestamp=harness.now()))
            await harness.elapse(harness.tick)
        found = await outbox.pending(limit=2, skip={"a", "c", "unknown"})
        assert [letter.name for letter in found] == ["b", "d"]
        # A letter that was skipped is delivered as one that was not.
        await outbox.mark_sent((await outbox.pending(limit=1))[0])
        assert [letter.name for letter in await outbox.pending()] == ["b", "c", "d"]

    async def test_every_field_comes_back(self, harness: OutboxHarness) -> None:
        """A letter is read as it was posted."""
        outbox = await harness.open()
        letter = make_letter(
            name="full",
            message="text",
            severity=Severity.CRITICAL,
            sender="Hermes (test)",
            timestamp=harness.now(),
            order_id="order-1",
            chat_id="-100",
            channel="telegram",
            topic="7",
            reply_to="42",
            order_payload="Do it",
            format=LetterFormat.MARKDOWN,
            files=("out/a.pdf", "out/b.png"),
        )
        await outbox.post(letter)
        assert list(await outbox.pending()) == [letter]

    async def test_unknown_fields_are_kept(self, harness: OutboxHarness) -> None:
        """What somebody else wrote into a letter is still there when it is delivered."""
        outbox = await harness.open()
        await outbox.post(make_letter(wire={"colour": "blue"}))
        letter = await outbox.record((await outbox.pending())[0], make_receipt(at=harness.now()))
        assert letter.wire["colour"] == "blue"
        assert (await outbox.pending())[0].wire["colour"] == "blue"

    @nasty_texts
    async def test_message_comes_back_whole(self, harness: OutboxHarness, text: str) -> None:
        """Whatever a letter says reaches the courier, character for character."""
        outbox = await harness.open()
        await outbox.post(make_letter(message=text))
        assert [letter.message for letter in await outbox.pending()] == [text]

    async def test_letters_are_counted_by_where_they_are(self, harness: OutboxHarness) -> None:
        """Letters that wait and letters nobody could get are told apart; sent ones are neither."""
        outbox = await harness.open()
        assert await outbox.count() == LetterCount(waiting=0, undeliverable=0)
        for name in ["a", "b", "c", "d"]:
            await outbox.post(make_letter(name=name))
        sent, aside, *_ = await outbox.pending()
        await outbox.mark_sent(sent)
        await outbox.set_aside(aside, "the chat is gone")
        assert await outbox.count() == LetterCount(waiting=2, undeliverable=1)

    @requires("survives_restart")
    async def test_letters_survive_a_restart(self, harness: OutboxHarness) -> None:
        """Posted means durable, waiting or sent."""
        outbox = await harness.open()
        letters = [make_letter(name="sent"), make_letter(name="waits")]
        for letter in letters:
            await outbox.post(letter)
        await outbox.mark_sent((await outbox.pending())[0])
        await harness.restart()
        outbox = await harness.open()
        assert [letter.name for letter in await outbox.pending()] == ["waits"]
        assert not await outbox.post(letters[0])

    # ---- waiting

    async def test_letter_that_waits_already_wakes(self, harness: OutboxHarness) -> None:
        """A courier that starts finds what was posted before."""
        outbox = await harness.open()
        await outbox.post(make_letter())
        with anyio.fail_after(PROMPT_SECONDS):
            assert await outbox.wait(harness.tick * 1000)

    async def test_new_letter_wakes(self, harness: OutboxHarness) -> None:
        """A letter goes out when it is posted, not at the next look."""
        outbox = await harness.open()
        async with expect_waking(outbox.wait, lambda: _has_letters(outbox)):
            await outbox.post(make_letter())

    @requires("has_several_processes")
    async def test_letter_from_another_process_wakes(self, harness: OutboxHarness) -> None:
        """Anyone on the machine may post."""
        outbox, other = await harness.open(), await harness.open()
        async with expect_waking(outbox.wait, lambda: _has_letters(outbox)):
            await other.post(make_letter())

    async def test_nothing_to_do_lets_the_time_pass(self, harness: OutboxHarness) -> None:
        """Without letters `wait` ends after its time, and says that it found nothing."""
        outbox = await harness.open()
        await expect_timeout(harness, outbox.wait)

    async def test_letter_left_waiting_does_not_spin(self, harness: OutboxHarness) -> None:
        """A letter whose channel is down waits without keeping the courier busy."""
        outbox = await harness.open()
        await outbox.post(make_letter())
        await outbox.pending()
        await expect_timeout(harness, outbox.wait)


async def _has_letters(outbox: Outbox) -> bool:
    return bool(await outbox.pending())
