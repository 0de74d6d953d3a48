"""Answers to questions: whose they are, what counts as one, and what the message says then."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Option,
    PermissionRequested,
    Question,
    QuestionReply,
)
from galaxy_core.testing.memory.agent import Hang, Script
from tests.unit.galaxy_core.services.gateway.world import (
    DONE,
    GROUP,
    OPERATOR,
    OWNER,
    PERMISSION,
    PHOTO,
    GatewayWorld,
    asking,
)

pytestmark = pytest.mark.anyio


async def test_command_is_never_an_answer(world: GatewayWorld) -> None:
    """Who wants to stop the run while it waits for words can do so."""
    world.lab.agent.script("go", Script((asking(Question(text="Name?")), DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.press("Type an answer")
        await world.until(lambda: len(world.toasts()) == 1)
        world.say("/cancel", message_id="2")
        await world.until(lambda: any("Stopping" in text for text in world.texts()))


async def test_typed_answer_belongs_to_its_topic(world: GatewayWorld) -> None:
    """What is written in another topic of the group is an order there, not the answer."""
    world.lab.agent.script("go", Script((asking(Question(text="Name?")), DONE)))
    async with world.running():
        world.say("go", chat=GROUP, topic="1", message_id="1")
        await world.until(lambda: any(b.text == "Type an answer" for b in world.buttons(GROUP)))
        world.press("Type an answer", chat=GROUP)
        await world.until(lambda: len(world.toasts()) == 1)
        world.say("another thing", chat=GROUP, topic="2", message_id="2")
        await world.until(lambda: len(world.lab.agent.prompts) == 2)
    assert world.lab.agent.prompts == ["go", "another thing"]


async def test_group_is_told_to_answer_with_a_reply(world: GatewayWorld) -> None:
    """A bot does not see what is written in a group without addressing it."""
    world.lab.agent.script("go", Script((asking(Question(text="Name?")), DONE)))
    async with world.running():
        world.say("go", chat=GROUP, message_id="1")
        await world.until(lambda: any(b.text == "Type an answer" for b in world.buttons(GROUP)))
        world.press("Type an answer", chat=GROUP)
        await world.until(lambda: len(world.toasts()) == 1)
    assert "reply" in world.toasts()[0].lower()


async def test_file_is_not_lost_in_an_answer(world: GatewayWorld) -> None:
    """An answer is words: what comes with files is an order, which takes them along."""
    world.service.files["file-1"] = b"photo"
    world.lab.agent.script("go", Script((asking(Question(text="Name?")), DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.press("Type an answer")
        await world.until(lambda: len(world.toasts()) == 1)
        world.say("look at this", files=(PHOTO,), message_id="2")
        await world.until(lambda: len(world.lab.orders.all()) == 2)
    assert [len(entry.order.media) for entry in world.lab.orders.all()] == [0, 1]


async def test_typed_number_is_not_the_number_of_a_button(world: GatewayWorld) -> None:
    """What a person types reaches the agent as it is."""
    question = Question(text="How many?", options=(Option(label="three"), Option(label="five")))
    world.lab.agent.script("go", Script((asking(question), DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        asked = next(p for p in world.service.sent if p.buttons)
        world.say("1", reply_to=asked.receipt.message_ids[-1], message_id="2")
        await world.until(lambda: world.answers() == ["done"])
    (message,) = world.lab.agent.messages.values()
    assert QuestionReply(answers=(("1",),)) in message.answers.values()


@pytest.mark.parametrize("word", ["yes", "OK", "once"])
async def test_yes_is_no_refusal(world: GatewayWorld, word: str) -> None:
    """Who answers "May I?" with yes has allowed it."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        asked = next(p for p in world.service.sent if p.buttons)
        world.say(word, reply_to=asked.receipt.message_ids[-1], message_id="2")
        await world.until(lambda: world.answers() == ["done"])
    (line,) = [e for e in world.lab.events() if e.data.get("by") and e.data.get("answer")]
    assert line.data["answer"] == "once"


async def test_reply_to_a_question_with_buttons_only_is_no_order(world: GatewayWorld) -> None:
    """Who writes "yes" to "Run it?" is told to press, and no agent gets a lone "yes"."""
    async with world.running():
        world.say("old", sent_at=world.clock.now() - timedelta(hours=1), message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        asked = next(p for p in world.service.sent if p.buttons)
        world.say("yes please", reply_to=asked.receipt.message_ids[-1], message_id="2")
        await world.until(lambda: any("button" in text for text in world.texts()))
        assert world.lab.agent.prompts == []


async def test_reply_to_somebody_elses_question_is_no_order(world: GatewayWorld) -> None:
    """Who was not asked is told so, in words as with a button."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", chat=GROUP, message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(GROUP)))
        asked = next(p for p in world.service.sent if p.buttons)
        world.say(
            "once",
            by=OPERATOR,
            chat=GROUP,
            reply_to=asked.receipt.message_ids[-1],
            message_id="2",
        )
        await world.until(lambda: any("person who was asked" in t for t in world.texts(GROUP)))
        assert world.lab.agent.prompts == ["go"]


async def test_text_and_press_at_once_are_one_answer(world: GatewayWorld) -> None:
    """The message says what the agent was told, whoever was a moment faster."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        asked = next(p for p in world.service.sent if p.buttons)
        sends = world.faults.writes.count("control.send")
        world.say("no", reply_to=asked.receipt.message_ids[-1], message_id="2")
        world.press("Once")
        world.press("Always")
        await world.until(lambda: len(world.answers()) == 1)
    assert world.faults.writes.count("control.send") == sends + 1
    assert world.types().count("request_answered") == 1


async def test_press_before_the_receipt_closes_the_question(world: GatewayWorld) -> None:
    """People are faster than our disk: the answered question is neither asked anew nor lost."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    # Its receipt is late.
    world.faults.fail("outbox.record", StorageUnavailable("slow"), times=3)
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        asked = next(p for p in world.service.sent if p.buttons)
        pressed = world.press("Once")
        assert pressed.data
        await world.until(lambda: world.answers() == ["done"])
        await world.clock.elapse(timedelta(minutes=2))
        (note,) = world.notes.kinds["ask"].values()
        assert note.text is None
    assert asked.buttons
    shown = [t for t in world.texts() if t.startswith("**May I?**") and "_" in t]
    assert shown, "its message says what became of it"
    assert all("Allowed once" in text for text in shown)


async def test_question_of_an_order_that_ended_meanwhile_is_closed(world: GatewayWorld) -> None:
    """A restarted gateway leaves no buttons below a run that is over."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.lab.running():
        async with world.running(with_hermes=False):
            world.say("go", message_id="1")
            await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        await world.clock.elapse(timedelta(hours=3))
        async with world.running(with_hermes=False):
            await world.until(lambda: len(world.answers()) == 1)
            await world.clock.elapse(timedelta(minutes=1))
            (note,) = world.notes.kinds["ask"].values()
            assert note.text is None


async def test_offers_do_not_stay_open_for_ever(tmp_path: Path) -> None:
    """What nobody chose is forgotten, and is on record as nothing that it was not."""
    world = GatewayWorld(tmp_path, ("lab", "den"))
    async with world.running():
        world.say("/machine", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.clock.jump(timedelta(days=3))
        await world.clock.elapse(timedelta(minutes=2))
        (note,) = world.notes.kinds["ask"].values()
        assert note.text is None
    assert "message_dropped" not in world.types()
    assert not any("Not run" in text for text in world.texts())


async def test_long_labels_are_told_in_full(world: GatewayWorld) -> None:
    """A button's text is cut by the channel: what it stands for is in the message."""
    labels = [f"{'Use the very long way to do it ' * 4} number {n}" for n in range(30)]
    question = Question(text="How?", options=tuple(Option(label=label) for label in labels))
    world.lab.agent.script("go", Script((asking(question), DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        text = "".join(p.text for p in world.service.sent if p.letter.name.startswith("ask-"))
        assert all(label in text for label in labels)
        data = [button.data for button in world.buttons(OWNER) if button.data.startswith("a:")]
        assert len(data) == 31
        assert all(len(each.encode()) <= 64 for each in data)


async def test_what_is_to_be_allowed_is_shown_as_it_is(world: GatewayWorld) -> None:
    """No mark in a command changes what the person reads before they allow it."""
    asked = PermissionRequested(
        request_id=RequestId("per_1"),
        permission="bash",
        patterns=("echo `rm -rf *` && [x](http://evil)",),
        title="rm -rf *.o **/*.tmp",
    )
    world.lab.agent.script("go", Script((asked, DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        text = next(p.text for p in world.service.sent if p.buttons)
    assert "rm -rf \\*.o \\*\\*/\\*.tmp" in text.replace("\\.", ".").replace("\\-", "-")
    assert "``echo `rm -rf *` && [x](http://evil)``" in text


async def test_stop_button_finds_its_order_whatever_happened_to_the_watch(
    world: GatewayWorld,
) -> None:
    """Nobody is told that a run is over which goes on."""
    world.lab.agent.script("go", Script((Hang(),)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: any(b.text == "Cancel" for b in world.buttons(OWNER)))
        assert world.toasts() == []
    async with world.running(with_hermes=False):
        world.faults.fail("notes.list", StorageUnavailable("away"), times=2)
        world.press("Cancel")
        await world.until(lambda: len(world.toasts()) == 1)
    assert "over" not in world.toasts()[0]


async def test_end_of_a_held_message_is_on_record_before_it_is_forgotten(
    world: GatewayWorld,
) -> None:
    """A trail that refuses for a moment loses no line."""
    async with world.running():
        world.say("old", sent_at=world.clock.now() - timedelta(hours=1), message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.clock.jump(timedelta(days=2) - timedelta(minutes=5))
        world.faults.fail("audit.record", StorageUnavailable("full"), times=1)
        await world.clock.elapse(timedelta(minutes=20))
    assert "message_dropped" in world.types()


async def test_held_text_is_shown_as_it_was_written(world: GatewayWorld) -> None:
    """The question about an old message shows its characters, not what they would mark up."""
    async with world.running():
        text = "rm **/*.o [ok](http://evil)"
        world.say(text, sent_at=world.clock.now() - timedelta(hours=1), message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        (shown,) = [p.text for p in world.service.sent if p.buttons]
    assert "[ok](" not in shown
    assert "**/" not in shown
