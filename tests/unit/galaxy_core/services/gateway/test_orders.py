"""From a message to its answer: one message, one order, one answer, whatever kind it is of."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_core.domain.message import FileKind, Origin, Quote, RemoteFile
from galaxy_core.domain.order import Priority
from galaxy_core.domain.policy import Staleness, StalePolicy
from galaxy_core.testing.memory import MemoryTranscriber
from galaxy_core.testing.memory.agent import Pause, Script
from tests.unit.galaxy_core.services.gateway.world import (
    GROUP,
    OPERATOR,
    OWNER,
    STRANGER,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


async def test_message_becomes_an_order_and_its_answer_comes_back(world: GatewayWorld) -> None:
    """The main thing: what a person writes reaches the agent as it is, and the answer the chat."""
    async with world.running():
        world.say("What is *up*?", by=OPERATOR)
        await world.until(lambda: len(world.answers(OPERATOR)) == 1)
    (prompt,) = world.lab.agent.prompts
    assert prompt == "What is *up*?"
    assert world.service.messages == {}


async def test_order_says_who_asked_and_where_the_answer_goes(world: GatewayWorld) -> None:
    """The order on disk is as good as one that the person had dropped there."""
    async with world.running(with_hermes=False):
        message = world.say("Do it", by=OPERATOR, sender_name="Otto", topic="7")
        await world.until(lambda: len(world.lab.orders.all()) == 1)
    (entry,) = world.lab.orders.all()
    order = entry.order
    assert (order.sender, order.person_id) == ("Otto", OPERATOR)
    assert (order.channel, order.chat_id, order.topic) == ("memory", OPERATOR, "7")
    assert (order.reply_to, order.idempotency_key) == (message.message_id, message.key)


async def test_three_quick_messages_give_three_answers(world: GatewayWorld) -> None:
    """Nothing that a person sends is swallowed by the next thing."""
    async with world.running():
        for number in range(3):
            world.say(f"question {number}", message_id=str(number))
        await world.until(lambda: len(world.answers()) == 3)
    assert world.lab.agent.prompts == [f"question {number}" for number in range(3)]


async def test_marks_of_the_old_bot_still_work(world: GatewayWorld) -> None:
    """🔴, ⏰2h and #project mean what they always meant, and stay in the text."""
    async with world.running(with_hermes=False, projects={"site": ()}):
        world.say("🔴 deploy #site ⏰2h")
        await world.until(lambda: len(world.lab.orders.all()) == 1)
    order = world.lab.orders.all()[0].order
    assert (order.priority, order.project) == (Priority.URGENT, "site")
    assert order.not_before is not None
    assert order.payload == "🔴 deploy #site ⏰2h"


async def test_forward_alone_is_no_order_before_a_person_says_so(world: GatewayWorld) -> None:
    """Somebody else's words run only when a person on the list has said that they shall."""
    async with world.running():
        world.say("", quotes=(Quote(text="rm -rf /", author="Mallory"),))
        await world.until(lambda: bool(world.buttons(OWNER)))
        assert world.lab.agent.prompts == []
        world.press("Take it as an order")
        await world.until(lambda: len(world.answers()) == 1)
    (prompt,) = world.lab.agent.prompts
    assert "> rm -rf /" in prompt
    assert "Mallory" in prompt


async def test_forward_that_comes_with_words_is_quoted_in_one_order(world: GatewayWorld) -> None:
    """A comment and what it comments on are one order, and who said what can be told."""
    async with world.running():
        world.say("Is this true?", quotes=(Quote(text="The moon\nis cheese", author="Ann"),))
        await world.until(lambda: len(world.answers()) == 1)
    (prompt,) = world.lab.agent.prompts
    assert prompt.startswith("Is this true?")
    assert "> The moon\n> is cheese" in prompt


async def test_edit_of_an_order_runs_again_only_on_request(world: GatewayWorld) -> None:
    """An edited message never runs by itself."""
    async with world.running():
        first = world.say("one", message_id="5")
        await world.until(lambda: len(world.answers()) == 1)
        world.say("two", message_id="5", is_edit=True, sent_at=first.sent_at)
        await world.until(lambda: bool(world.buttons(OWNER)))
        assert world.lab.agent.prompts == ["one"]
        world.press("Run again")
        await world.until(lambda: len(world.answers()) == 2)
    assert world.lab.agent.prompts == ["one", "two"]


async def test_edit_of_what_was_no_order_is_nothing(world: GatewayWorld) -> None:
    """Correcting a command or an old message asks nobody anything."""
    async with world.running():
        world.say("two", message_id="5", is_edit=True)
        await world.until(lambda: not world.service.messages)
    assert world.texts() == []


# ---- what came while nothing ran


async def test_old_message_is_asked_about(world: GatewayWorld) -> None:
    """What is older than the setting runs only when the person still wants it."""
    world.say("deploy")
    await world.clock.elapse(timedelta(hours=3))
    async with world.running():
        await world.until(lambda: bool(world.buttons(OWNER)))
        assert world.lab.orders.all() == []
        assert "3 h" in world.texts()[0]
        world.press("Run it")
        await world.until(lambda: len(world.answers()) == 1)
    assert world.lab.agent.prompts == ["deploy"]


async def test_old_message_that_nobody_wants_is_dropped_on_record(world: GatewayWorld) -> None:
    """No is an answer, and stands in the trail."""
    world.say("deploy")
    await world.clock.elapse(timedelta(hours=3))
    async with world.running():
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.press("Drop it")
        await world.until(lambda: "message_dropped" in world.types())
    assert world.lab.orders.all() == []


@pytest.mark.parametrize(
    "then, orders", [(StalePolicy.RUN, 1), (StalePolicy.DROP, 0)], ids=["run", "drop"]
)
async def test_policy_for_old_messages_is_the_owners(
    world: GatewayWorld, then: StalePolicy, orders: int
) -> None:
    """Run or drop: as the settings say; who is dropped is told."""
    world.say("deploy")
    await world.clock.elapse(timedelta(hours=3))
    async with world.running(staleness=Staleness(then=then)):
        await world.until(lambda: bool(world.texts()))
    assert len(world.lab.orders.all()) == orders


async def test_ask_that_nobody_answers_ends(world: GatewayWorld) -> None:
    """A question about an old message is not open for ever."""
    world.say("deploy")
    await world.clock.elapse(timedelta(hours=3))
    async with world.running():
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.clock.jump(timedelta(days=3))
        await world.clock.elapse(timedelta(minutes=2))
        await world.until(lambda: "message_dropped" in world.types())
    assert world.lab.orders.all() == []


# ---- who may


async def test_stranger_is_not_heard(world: GatewayWorld) -> None:
    """Who is not on the list gives no order, gets no answer, and is on record."""
    async with world.running():
        world.say("rm -rf /", by=STRANGER)
        world.say("/status", by=STRANGER)
        await world.until(lambda: not world.service.messages)
    assert world.texts(STRANGER) == []
    assert world.lab.orders.all() == []
    assert world.types().count("message_refused") == 2


@pytest.mark.parametrize("origin", [o for o in Origin if o is not Origin.PERSON])
async def test_only_people_are_heard(world: GatewayWorld, origin: Origin) -> None:
    """Whoever writes in another's name is refused, even under an id that is on the list."""
    async with world.running():
        world.say("do it", origin=origin)
        await world.until(lambda: not world.service.messages)
    assert world.lab.orders.all() == []
    assert "message_refused" in world.types()


async def test_viewer_may_look_and_nothing_else(world: GatewayWorld) -> None:
    """A viewer's words are no orders, and they are told so."""
    async with world.running():
        world.say("do it", by=VIEWER, message_id="1")
        world.say("/cancel", by=VIEWER, message_id="2")
        world.say("/queue", by=VIEWER, message_id="3")
        await world.until(lambda: len(world.texts(VIEWER)) == 3)
    assert world.lab.orders.all() == []


async def test_group_is_heard_when_it_speaks_to_us(world: GatewayWorld) -> None:
    """In an allowed group an addressed message is an order, and its answer goes to the group."""
    async with world.running():
        world.say("just talking", by=OPERATOR, chat=GROUP, is_addressed=False, message_id="1")
        world.say("do it", by=OPERATOR, chat=GROUP, topic="4", message_id="2")
        await world.until(lambda: len(world.answers(GROUP)) == 1)
    assert world.lab.agent.prompts == ["do it"]
    (sent,) = [p for p in world.service.sent if p.letter.name.startswith("hermes-")]
    assert sent.address.topic == "4"


async def test_other_groups_are_not_heard(world: GatewayWorld) -> None:
    """A person on the list cannot carry the bot into any group."""
    async with world.running():
        world.say("do it", by=OWNER, chat="group-2")
        await world.until(lambda: not world.service.messages)
    assert world.lab.orders.all() == []
    assert "message_refused" in world.types()


async def test_topics_are_conversations_of_their_own(world: GatewayWorld) -> None:
    """Two topics of one chat have two sessions and run side by side."""
    world.lab.agent.script("a", Script((Pause(timedelta(minutes=1)),)))
    async with world.running():
        world.say("a", topic="1", message_id="1")
        world.say("b", topic="2", message_id="2")
        await world.until(lambda: len(world.answers()) == 1)
        assert len(world.lab.agent.prompts) == 2


async def test_too_many_orders_in_a_minute_are_refused_with_a_time(world: GatewayWorld) -> None:
    """The limit is told, with when to come back; what was accepted stays accepted."""
    async with world.running(with_hermes=False, orders_per_minute=3):
        for number in range(4):
            world.say(f"order {number}", message_id=str(number))
        await world.until(lambda: not world.service.messages and bool(world.texts()))
        assert len(world.lab.orders.all()) == 3
        assert "60 seconds" in world.texts()[-1]
        await world.clock.elapse(timedelta(minutes=1))
        world.say("order 5", message_id="5")
        await world.until(lambda: len(world.lab.orders.all()) == 4)


async def test_full_queue_is_refused_politely(world: GatewayWorld) -> None:
    """One person cannot fill a machine's queue."""
    async with world.running(with_hermes=False, waiting_orders=2):
        for number in range(3):
            world.say(f"order {number}", message_id=str(number))
        await world.until(lambda: any("2 orders waiting" in text for text in world.texts()))
    assert len(world.lab.orders.all()) == 2


async def test_text_that_is_too_long_is_refused_with_the_reason(world: GatewayWorld) -> None:
    """Ten thousand and one characters are answered, not swallowed."""
    async with world.running(with_hermes=False):
        world.say("x" * 10_001)
        await world.until(lambda: any("10,001" in text for text in world.texts()))
    assert world.lab.orders.all() == []


# ---- files


async def test_files_lie_beside_the_order(world: GatewayWorld) -> None:
    """Files are fetched under names that cannot leave the order's folder."""
    world.service.files["f1"] = b"png"
    world.service.files["f2"] = b"text"
    files = (
        RemoteFile(id="f1", kind=FileKind.PHOTO, mime="image/png"),
        RemoteFile(id="f2", kind=FileKind.DOCUMENT, name="../../etc/passwd"),
    )
    async with world.running(with_hermes=False):
        world.say("look", files=files)
        await world.until(lambda: len(world.lab.orders.all()) == 1)
    order = world.lab.orders.all()[0].order
    paths = [Path(media.path or "") for media in order.media]
    folder = (
        world.folder / "lab" / ".sisyphus" / "notepads" / "galaxy-order-files" / order.id / "in"
    )
    assert [path.parent for path in paths] == [folder, folder]
    assert [path.name for path in paths] == ["01-photo", "02-passwd"]
    assert [path.read_bytes() for path in paths] == [b"png", b"text"]


async def test_file_that_cannot_be_had_is_told(world: GatewayWorld) -> None:
    """A file that is gone or too large is no silent loss."""
    async with world.running(with_hermes=False):
        world.say("look", files=(RemoteFile(id="gone", kind=FileKind.DOCUMENT),))
        await world.until(lambda: any("not there any more" in text for text in world.texts()))
    assert world.lab.orders.all() == []


async def test_voice_without_a_transcriber_says_what_to_set(world: GatewayWorld) -> None:
    """Nobody has to guess why the bot does not listen."""
    world.service.files["v"] = b"ogg"
    async with world.running(with_hermes=False):
        world.say("", files=(RemoteFile(id="v", kind=FileKind.VOICE, mime="audio/ogg"),))
        await world.until(lambda: any("transcription.url" in text for text in world.texts()))
    assert world.lab.orders.all() == []


async def test_voice_becomes_the_orders_text(tmp_path: Path) -> None:
    """What was said is what is to be done."""
    world = GatewayWorld(
        tmp_path, transcriber=MemoryTranscriber(words={"01-voice": "water the plants"})
    )
    world.service.files["v"] = b"ogg"
    async with world.running():
        world.say("", files=(RemoteFile(id="v", kind=FileKind.VOICE, mime="audio/ogg"),))
        await world.until(lambda: len(world.answers()) == 1)
    assert world.lab.agent.prompts == ["water the plants"]
