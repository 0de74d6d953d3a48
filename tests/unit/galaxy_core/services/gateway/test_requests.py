"""What agents ask reaches the person whose order it is, and the answer the agent, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galaxy_core.domain.ids import RequestId
from galaxy_core.domain.run import (
    Option,
    Question,
    QuestionAsked,
    QuestionReply,
    TextAppended,
    Todo,
    TodosChanged,
    ToolChanged,
    ToolStatus,
)
from galaxy_core.domain.status import Draft, OrderStatus, Typing
from galaxy_core.testing.factories import make_ending, make_letter, make_press
from galaxy_core.testing.memory import MemoryOrderQueue, MemoryOutbox
from galaxy_core.testing.memory.agent import Hang, Pause, Script
from tests.unit.galaxy_core.services.gateway.world import (
    DONE,
    GROUP,
    OPERATOR,
    OWNER,
    PERMISSION,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("label, choice", [("Once", "once"), ("Always", "always")])
async def test_permission_is_given_by_a_button(
    world: GatewayWorld, label: str, choice: str
) -> None:
    """The agent waits, the person presses, the agent goes on; the trail knows who allowed it."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", by=OPERATOR)
        await world.until(lambda: bool(world.buttons(OPERATOR)))
        world.press(label, by=OPERATOR)
        await world.until(lambda: world.answers(OPERATOR) == ["done"])
    (line,) = [e for e in world.lab.events() if e.data.get("by") and e.data.get("answer")]
    assert (line.data["answer"], line.data["by"]) == (choice, f"memory:{OPERATOR}")


async def test_permission_may_be_refused_in_words(world: GatewayWorld) -> None:
    """An answer to the question's message is a no with an advice for the agent."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", by=OPERATOR)
        await world.until(lambda: bool(world.buttons(OPERATOR)))
        asked = next(p for p in world.service.sent if p.buttons)
        world.say("use mv", by=OPERATOR, reply_to=asked.receipt.message_ids[-1], message_id="9")
        await world.until(lambda: world.answers(OPERATOR) == ["done"])
    assert world.lab.agent.prompts == ["go"]


async def test_only_the_asked_person_or_an_owner_may_answer(world: GatewayWorld) -> None:
    """In a group everybody sees the buttons; they work for whom they are meant for."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go", by=OPERATOR, chat=GROUP)
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(GROUP)))
        world.press("Once", by=VIEWER, chat=GROUP)
        world.press("Once", by="stranger-1", chat=GROUP)
        await world.until(lambda: len(world.toasts()) == 2)
        assert world.answers(GROUP) == []
        world.press("Once", by=OWNER, chat=GROUP)
        await world.until(lambda: world.answers(GROUP) == ["done"])


async def test_second_press_hears_that_it_was_answered(world: GatewayWorld) -> None:
    """A button that two people see is answered once; the other one is told."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        old = world.button("Once", OWNER)
        world.press("Once")
        await world.until(lambda: world.answers() == ["done"])
        world.service.push(make_press(sender_id=OWNER, chat_id=OWNER, data=old.data))
        await world.until(lambda: any("answered already" in text for text in world.toasts()))


async def test_forged_button_does_nothing(world: GatewayWorld) -> None:
    """A client can send any data: what is no open question of this chat is refused."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        data = world.button("Once", OWNER).data
        for forged in ("", "a:", "a:x:0", "c:x", f"{data[:-1]}99", "a:../../x:0", "\0"):
            world.service.push(make_press(sender_id=OWNER, chat_id=OWNER, data=forged))
        world.service.push(make_press(sender_id=OPERATOR, chat_id=OPERATOR, data=data))
        await world.until(lambda: len(world.toasts()) == 8)
        assert world.answers() == []


async def test_question_survives_a_restart_of_the_gateway(world: GatewayWorld) -> None:
    """The buttons of yesterday's gateway work at today's."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    hermes = world.lab.running()
    async with hermes:
        async with world.running(with_hermes=False):
            world.say("go")
            await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        async with world.running(with_hermes=False):
            world.press("Once")
            await world.until(lambda: world.answers() == ["done"])
    assert sum(b.text == "Once" for b in world.buttons(OWNER)) == 1, "asked once"


async def test_several_questions_are_answered_one_by_one(world: GatewayWorld) -> None:
    """Single choice, several choices and free text: the agent gets all answers together."""
    asked = QuestionAsked(
        request_id=RequestId("que_1"),
        questions=(
            Question(text="Colour?", options=(Option(label="red"), Option(label="blue"))),
            Question(
                text="Sizes?",
                options=(Option(label="S"), Option(label="M"), Option(label="L")),
                is_multiple=True,
            ),
            Question(text="Name?"),
        ),
    )
    world.lab.agent.script("go", Script((asked, DONE)))
    async with world.running():
        world.say("go")
        await world.until(lambda: sum(bool(p.buttons) for p in world.service.sent) == 3)
        world.press("blue")
        await world.until(lambda: any("Answer: blue" in text for text in world.texts()))
        world.press("☐ S")
        await world.until(lambda: any(b.text == "☑ S" for b in world.buttons(OWNER)))
        world.press("☐ L")
        await world.until(lambda: any(b.text == "☑ L" for b in world.buttons(OWNER)))
        world.press("Send off")
        await world.until(lambda: any("Answer: S, L" in text for text in world.texts()))
        named = next(p for p in world.service.sent if p.text == "Name?")
        world.say("Fluffy", reply_to=named.receipt.message_ids[-1], message_id="9")
        await world.until(lambda: world.answers() == ["done"])
    (message,) = world.lab.agent.messages.values()
    assert QuestionReply(answers=(("blue",), ("S", "L"), ("Fluffy",))) in message.answers.values()


async def test_typed_answer_is_the_next_message(world: GatewayWorld) -> None:
    """After "Type an answer" the next message is the answer, the one after it an order."""
    asked = QuestionAsked(request_id=RequestId("que_1"), questions=(Question(text="Name?"),))
    world.lab.agent.script("go", Script((asked, DONE)))
    async with world.running():
        world.say("go", message_id="1")
        await world.until(lambda: bool(world.buttons(OWNER)))
        world.press("Type an answer")
        await world.until(lambda: len(world.toasts()) == 1)
        world.say("Fluffy", message_id="2")
        await world.until(lambda: world.answers() == ["done"])
        world.say("next", message_id="3")
        await world.until(lambda: len(world.answers()) == 2)
    assert world.lab.agent.prompts == ["go", "next"]


async def test_question_that_timed_out_says_so(world: GatewayWorld) -> None:
    """Hermes' own time limit ends the question, and its buttons with it."""
    world.lab.agent.script("go", Script((PERMISSION, DONE)))
    async with world.running():
        world.say("go")
        await world.until(lambda: any(b.text == "Once" for b in world.buttons(OWNER)))
        await world.clock.elapse(timedelta(hours=2))
        await world.until(lambda: len(world.answers()) == 1)
        await world.until(
            lambda: world.notes.kinds["ask"][next(iter(world.notes.kinds["ask"]))].text is None
        )


# ---- progress


async def test_fast_answer_has_no_status(world: GatewayWorld) -> None:
    """What is answered within a second is not announced."""
    async with world.running():
        world.say("go")
        await world.until(lambda: len(world.answers()) == 1)
        await world.clock.elapse(timedelta(seconds=5))
    assert world.service.cards == {}


async def test_long_run_has_one_status_that_changes(world: GatewayWorld) -> None:
    """One message shows state, tool and todos; at the end it says how it went."""
    steps = (
        TodosChanged(todos=(Todo(content="dig", status="in_progress"),)),
        ToolChanged(call_id="1", tool="bash", status=ToolStatus.RUNNING, title="make all"),
        Pause(timedelta(seconds=20)),
        TextAppended(text="almost", part="a"),
        Pause(timedelta(seconds=20)),
        DONE,
    )
    world.lab.agent.script("go", Script(steps))
    async with world.running():
        world.say("go")
        await world.until(lambda: any("make all" in text for text in world.texts()))
        assert any("dig" in text for text in world.texts())
        assert len(world.service.cards) == 1
        await world.until(lambda: len(world.answers()) == 1)
        await world.clock.elapse(timedelta(seconds=5))
    (shown,) = world.service.cards.values()
    assert isinstance(shown.card, OrderStatus)
    assert shown.card.state.is_final
    assert shown.card.buttons == ()
    hints = [hint for _, hint in world.service.hints]
    assert sum(isinstance(hint, Typing) for hint in hints) >= 5
    assert any(isinstance(hint, Draft) and hint.text == "almost" for hint in hints)


async def test_waiting_order_shows_its_place(world: GatewayWorld) -> None:
    """Who waits knows for how many."""
    world.lab.agent.script("go", Script((Hang(),)))
    async with world.running():
        world.say("go", message_id="1")
        world.say("second", message_id="2")
        world.say("third", message_id="3")
        await world.until(lambda: any("place 2" in text for text in world.texts()))


async def test_cancel_button_ends_the_order(world: GatewayWorld) -> None:
    """One press, and the run is stopped and answered."""
    world.lab.agent.script("go", Script((Hang(),)))
    async with world.running():
        world.say("go", by=OPERATOR)
        await world.until(lambda: any(b.text == "Cancel" for b in world.buttons(OPERATOR)))
        world.press("Cancel", by=OPERATOR)
        await world.until(lambda: len(world.answers(OPERATOR)) == 1)
    (entry,) = world.lab.orders.all()
    assert entry.ending is not None
    assert entry.ending.outcome.value == "cancelled"


async def test_status_goes_on_in_the_same_message_after_a_restart(world: GatewayWorld) -> None:
    """A restarted gateway finds the message that shows the order, and ends it."""
    world.lab.agent.script("go", Script((Pause(timedelta(minutes=1)), DONE)))
    async with world.lab.running():
        async with world.running(with_hermes=False):
            world.say("go")
            await world.until(lambda: len(world.service.cards) == 1)
        async with world.running(with_hermes=False):
            await world.clock.elapse(timedelta(minutes=2))
            await world.until(lambda: len(world.answers()) == 1)
            await world.clock.elapse(timedelta(seconds=10))
    (shown,) = world.service.cards.values()
    assert isinstance(shown.card, OrderStatus)
    assert shown.card.state.is_final


async def test_status_ends_though_the_answer_arrives_before_the_archive(
    world: GatewayWorld,
) -> None:
    """The letter is posted before the order is archived: no button to cancel stays behind."""
    async with world.running(with_hermes=False):
        world.say("go")
        await world.until(lambda: any(b.text == "Cancel" for b in world.buttons(OWNER)))
        worker = MemoryOrderQueue(world.lab.orders, "worker")
        delivery = await worker.claim()
        assert delivery is not None
        outbox = MemoryOutbox(world.clock, world.lab.letters)
        await outbox.post(
            make_letter(
                name=f"hermes-{delivery.order.id}",
                message="done",
                order_id=delivery.order.id,
                chat_id=OWNER,
                channel="memory",
            )
        )
        await world.until(lambda: world.answers() == ["done"])
        await worker.ack(delivery, make_ending())
        await world.until(lambda: not world.buttons(OWNER))
    (shown,) = world.service.cards.values()
    assert isinstance(shown.card, OrderStatus)
    assert shown.card.state.is_final
