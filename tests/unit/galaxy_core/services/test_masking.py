"""The ways out: what goes to a chat or into the trail has no secrets; nothing else changes."""

from __future__ import annotations

import pytest
from attrs import evolve

from galaxy_core.domain.health import Alert
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.letter import Button, Severity
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.run import Option, PermissionRequested, Question, QuestionAsked, Todo
from galaxy_core.domain.secrets import MARK, SecretMask
from galaxy_core.domain.status import Draft, Notice, OrderStatus, Typing
from galaxy_core.services.masking import MaskingAlertSink, MaskingAuditSink, MaskingChannel
from galaxy_core.testing.factories import (
    make_address,
    make_event,
    make_letter,
    make_message,
    make_status,
)
from galaxy_core.testing.memory import (
    ChatService,
    ManualClock,
    MemoryAlertSink,
    MemoryAuditSink,
    MemoryChannel,
)

pytestmark = pytest.mark.anyio

SECRET = "hunter2-hunter2"
MASK = SecretMask([SECRET])
WHERE = make_address(channel="memory")


async def test_letters_and_what_they_quote() -> None:
    """Text and quoted order are masked; the letter in the outbox is another object, left alone."""
    service = ChatService()
    channel = MaskingChannel(MemoryChannel(ManualClock(), service), MASK)
    letter = make_letter(message=f"It is {SECRET}.", order_payload=f"say {SECRET}")
    receipt = await channel.send(letter, WHERE)
    assert receipt.is_last
    assert service.texts(WHERE.chat_id) == [f"It is {MARK}."]
    assert SECRET in letter.message


async def test_cards_and_hints() -> None:
    """What is shown while an order runs is masked like its answer."""
    service = ChatService()
    channel = MaskingChannel(MemoryChannel(ManualClock(), service), MASK)
    progress = Progress(
        order_id=OrderId("a"),
        text=SECRET,
        tool=f"echo {SECRET}",
        note=SECRET,
        todos=(Todo(content=SECRET, status="pending"),),
    )
    await channel.show(make_status(progress=progress), WHERE)
    await channel.show(Notice(text=SECRET), WHERE)
    for hint in (Draft(order_id=OrderId("a"), text=SECRET), Typing()):
        await channel.hint(hint, WHERE)
    shown = [each.card for each in service.cards.values()]
    assert SECRET not in repr(shown)
    assert SECRET not in repr(service.hints)
    assert any(isinstance(card, OrderStatus) and MARK in repr(card.progress) for card in shown)
    assert MARK in repr(service.hints)


async def test_what_the_agent_asks() -> None:
    """Commands to be allowed, questions and buttons are masked; what a button means is not."""
    service = ChatService()
    channel = MaskingChannel(MemoryChannel(ManualClock(), service), MASK)
    asked = QuestionAsked(
        request_id=RequestId("q"),
        questions=(
            Question(
                text=SECRET, header=SECRET, options=(Option(label=SECRET, description=SECRET),)
            ),
        ),
    )
    wanted = PermissionRequested(
        request_id=RequestId("p"),
        permission="bash",
        patterns=(f"mysql -p{SECRET}",),
        title=f"mysql -p{SECRET}",
        always=(f"mysql -p{SECRET} *",),
    )
    progress = Progress(order_id=OrderId("a"), waiting_for=(wanted, asked))
    buttons = ((Button(f"Allow {SECRET}", "k:1"),),)
    await channel.show(make_status(progress=progress, buttons=buttons), WHERE)
    await channel.show(Notice(text="Which?", buttons=buttons), WHERE)
    await channel.send(make_letter(buttons=buttons), WHERE)
    seen = repr(([each.card for each in service.cards.values()], service.sent))
    assert SECRET not in seen
    assert f"mysql -p{MARK}" in seen
    assert "k:1" in seen
    assert "bash" in seen


async def test_the_second_way_out() -> None:
    """What goes to a webhook is masked, too."""
    sink = MemoryAlertSink()
    alert = Alert(key="agent:lab", title=SECRET, text=f"at {SECRET}", severity=Severity.ALERT)
    await MaskingAlertSink(sink, MASK).send(alert)
    [sent] = sink.heard
    assert (sent.title, sent.text, sent.key) == (MARK, f"at {MARK}", "agent:lab")


async def test_what_comes_in_is_left_alone() -> None:
    """A person's order reaches the agent as it was written, secrets and all."""
    service = ChatService()
    channel = MaskingChannel(MemoryChannel(ManualClock(), service), MASK)
    message = make_message(text=f"use {SECRET}")
    service.push(message)
    assert await channel.receive() == message
    await channel.confirm(message)
    assert not service.messages
    assert channel.name == "memory"
    assert channel.rates() == MemoryChannel(ManualClock(), service).rates()


async def test_lines_of_the_trail() -> None:
    """Previews and reasons are masked; keys, ids and names are what completeness is proved by."""
    sink = MemoryAuditSink()
    texts = {"payload_preview": f"use {SECRET}", "patterns": [f"echo {SECRET}"], "text": SECRET}
    event = make_event(data={**texts, "key": SECRET, "attempt": 1})
    plain = evolve(event, data={"attempt": 2})
    await MaskingAuditSink(sink, MASK).record([event, plain])
    assert [dict(each.data) for each in sink.events] == [
        {
            "payload_preview": f"use {MARK}",
            "patterns": [f"echo {MARK}"],
            "text": MARK,
            "key": SECRET,
            "attempt": 1,
        },
        {"attempt": 2},
    ]
