"""What a person does on the phone, and what comes back: whole processes, a scripted agent."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from galaxy_core.testing.bot_api.process import Remote
from galaxy_core.testing.bot_api.seen import Seen
from tests.e2e.machine import eventually
from tests.e2e.phone import House

HOUR_S = 3600


def said(house: House, chat: Remote, thread: int | None = None) -> list[str]:
    """What the bot wrote there."""
    return [seen.text for seen in house.telegram.sent(chat.id) if thread in (None, seen.thread)]


def press(house: House, person: Remote, seen: Seen, button: str, chat: Remote | None = None) -> str:
    """Press a button and read what pops up."""
    place = {} if chat is None else {"chat": chat.id}
    press_id = person.do("presses", message=seen.message_id, button=button, **place)
    calls: list[dict[str, str]] = []

    def is_answered() -> bool:
        calls[:] = [
            call["arguments"]
            for call in house.telegram.do("calls", method="answerCallbackQuery")
            if str(call["arguments"]["callback_query_id"]) == press_id
        ]
        return bool(calls)

    eventually(is_answered, f"the press of {button!r} is answered")
    return str(calls[0].get("text", ""))


def now(house: House, chat: Remote, seen: Seen) -> Seen:
    """The message as it is read now."""
    return next(s for s in house.telegram.sent(chat.id) if s.message_id == seen.message_id)


def test_three_quick_messages_are_three_orders(house: House) -> None:
    """Nothing is put together that was not sent as one thing; answers come in order."""
    ann = house.person()
    sent = [ann.do("writes", text=f"quick {number}")["message_id"] for number in range(3)]
    answers = [house.site.wait_for(ann, f"]: quick {number}") for number in range(3)]
    assert [answer.reply_to for answer in answers] == sent
    assert [answer.message_id for answer in answers] == sorted(a.message_id for a in answers)
    assert len(house.site.answers(ann, "echo[")) == 3
    assert [answer.edits for answer in answers] == [0, 0, 0]


COMMANDS = {
    "/start": "Ready",
    "/help": "/sessions",
    "/status": "lab",
    "/status all": "lab",
    "/machines": "attic: not served",
    "/queue": "running",
    "/sessions": "telegram:",
    "/agent": "machine's default",
    "/agent build": "agent build",
    "/agent -": "default agent",
    "/model": "machine's default",
    "/model a/b": "a/b",
    "/model -": "default model",
    "/machine": "one machine",
    "/project": "Which next?",
    "/project garden": "garden",
    "/project -": "project",
    "/history": "SLEEP",
    "/whoami": "owner",
    "/order attic water the roses": "attic",
    "/status attic": "attic",
    "/new": "fresh start",
    "/nonsense": "no command",
    "/alerts": "",
}


def test_every_command_answers_while_agents_work(house: House) -> None:
    """Each is answered within a second, in words that fit; none waits for the order that runs."""
    latencies = []
    commands = list(COMMANDS.items())
    # A chat bears so many messages at once; what comes on top is paced.
    for start in range(0, len(commands), 4):
        ann = house.person()
        ann.do("writes", text="SLEEP 3600\nSAY slept")
        house.site.wait_for(ann, "Working")
        for command, words in commands[start : start + 4]:
            begun = time.monotonic()
            asked = ann.do("writes", text=command)["message_id"]
            _is_answered(house, ann, asked, words)
            latencies.append(time.monotonic() - begun)
        ann.do("writes", text="/cancel")
    assert statistics.median(latencies) < 1.0


def _is_answered(house: House, person: Remote, asked: int, words: str) -> None:
    def is_answered() -> bool:
        return any(
            seen.reply_to == asked and words.casefold() in seen.text.casefold()
            for seen in house.telegram.sent(person.id)
        )

    try:
        eventually(is_answered, f"message {asked} is answered with {words!r}")
    except AssertionError as error:
        error.add_note(str(said(house, person)))
        raise


def test_an_order_is_cancelled_and_tried_again_by_command(house: House) -> None:
    """`/cancel` ends what runs here, `/retry` runs it once more."""
    ann = house.person()
    ann.do("writes", text="SLEEP 3600")
    house.site.wait_for(ann, "Working")
    ann.do("writes", text="/cancel")
    house.site.wait_for(ann, "Stopping")
    house.site.wait_for(ann, "cancelled")
    ann.do("writes", text="/retry")
    house.site.wait_for(ann, "runs again")
    ann.do("writes", text="/cancel")
    eventually(lambda: len(house.orders_of(ann)) == 2, "the second try is over")


def test_orders_by_command_reach_machines(house: House) -> None:
    """`/order` to the machine by name, to all, and to the conversation's own."""
    ann = house.person()
    ann.do("writes", text="/order lab count the roses")
    house.site.wait_for(ann, "]: count the roses")
    ann.do("writes", text="/order all prune them")
    house.site.wait_for(ann, "]: prune them")
    ann.do("writes", text="/order water them")
    house.site.wait_for(ann, "]: water them")
    assert [order.get("project") for order in house.orders_of(ann)].count("garden") == 1


def test_roles_bound_what_people_do(house: House) -> None:
    """A viewer looks, an operator works and lets nobody in."""
    house.viewer.do("writes", text="do it")
    house.site.wait_for(house.viewer, "not give orders")
    house.viewer.do("writes", text="/status")
    house.site.wait_for(house.viewer, "lab")
    house.operator.do("writes", text="do it now")
    house.site.wait_for(house.operator, "]: do it now")
    house.operator.do("writes", text="/pair ABCD-EFGH")
    house.site.wait_for(house.operator, "not for a operator")
    assert house.orders_of(house.viewer) == []


def test_a_stranger_is_let_in_from_a_chat(house: House) -> None:
    """The code that a stranger is shown works from an owner's chat, once."""
    owner, bob = house.person(), house.telegram.person("Bob")
    bob.do("writes", text="let me in")
    bob.do("starts")
    shown = house.site.wait_for(bob, "code is")
    code = shown.marked("bold")[0]
    owner.do("writes", text=f"/pair {code} operator")
    house.site.wait_for(bob, "You are in")
    bob.do("writes", text="and now?")
    house.site.wait_for(bob, "]: and now?")
    assert len(said(house, bob)) == 3
    owner.do("writes", text=f"/pair {code}")
    eventually(lambda: len(said(house, owner)) == 2, "the code is good no more")
    assert "in as" not in said(house, owner)[1]


def test_an_agents_question_is_answered_by_button(house: House) -> None:
    """The options are buttons, the answer goes to the run, a second press says that it is over."""
    ann = house.person()
    ann.do("writes", text="ASK Which colour? | red | blue\nSAY done")
    question = house.site.wait_for(ann, "Which colour?")
    press(house, ann, question, "blue")
    house.site.wait_for(ann, "done")
    eventually(lambda: "blue" in now(house, ann, question).text, "the question says it")
    assert "answered already" in press(house, ann, question, question.button("red").data or "")
    eventually(
        lambda: (
            not house.telegram.sent(ann.id)[-1].buttons
            and not any(s.buttons for s in house.telegram.sent(ann.id))
        ),
        "no buttons are left",
    )


def test_only_the_person_asked_may_press(house: House) -> None:
    """In a group everybody sees the buttons; another operator's press changes nothing."""
    ann, group = house.person(), house.forum
    thread = ann.do("opens_topic", name="colours", chat=group.id)
    text = "@galaxy_test_bot\nASK Tea or not? | tea | coffee\nSAY served"
    ann.do("writes", text=text, chat=group.id, thread=thread)
    question = house.site.wait_for(group, "Tea or not?")
    assert question.thread == thread
    assert "Only the person" in press(house, house.operator, question, "tea", chat=group)
    press(house, ann, question, "coffee", chat=group)
    assert house.site.wait_for(group, "served").thread == thread
    eventually(lambda: "coffee" in now(house, group, question).text, "the question says it")


def test_an_answer_in_words(house: House) -> None:
    """A reply to the question is its answer, and no order."""
    ann = house.person()
    ann.do("writes", text="ASK Which name?\nSAY noted")
    question = house.site.wait_for(ann, "Which name?")
    ann.do("writes", text="Rosalind", reply_to=question.message_id)
    house.site.wait_for(ann, "noted")
    eventually(lambda: "Rosalind" in now(house, ann, question).text, "the question says it")
    eventually(lambda: len(house.orders_of(ann)) == 1, "the order is over")
    assert house.site.answers(ann, "Waiting") == []


def test_an_edited_message_runs_again_when_told(house: House) -> None:
    """An edit is no order; "Run again" makes it one."""
    ann = house.person()
    message = ann.do("writes", text="water the lawn")
    house.site.wait_for(ann, "]: water the lawn")
    ann.do("edits", message=message["message_id"], text="water the lawn twice")
    offer = house.site.wait_for(ann, "You changed")
    assert house.site.answers(ann, "]: water the lawn twice") == []
    press(house, ann, offer, "Run again")
    answer = house.site.wait_for(ann, "]: water the lawn twice")
    assert answer.reply_to == message["message_id"]
    eventually(lambda: "It runs" in " ".join(said(house, ann)), "the offer says what became of it")


def test_a_private_topic_is_a_conversation_of_its_own(house: House) -> None:
    """The answer goes to the topic; what was said elsewhere does not count there."""
    ann = house.person()
    topics = [ann.do("opens_topic", name=name) for name in ("one", "two")]
    for thread in (*topics, topics[0]):
        ann.do("writes", text=f"in {thread}", thread=thread)
    eventually(lambda: len(house.site.answers(ann, "echo[")) == 3, "all are answered")
    answers = house.site.answers(ann, "echo[")
    assert sorted((a.thread, a.text.partition("echo")[2]) for a in answers) == sorted(
        [
            (topics[0], f"[1]: in {topics[0]}"),
            (topics[0], f"[2]: in {topics[0]}"),
            (topics[1], f"[1]: in {topics[1]}"),
        ]
    )


def test_a_group_is_heard_when_it_speaks_to_the_bot(house: House) -> None:
    """A mention and a reply in an allowed group are orders; talk, strangers, other groups not."""
    ann, group = house.person(), house.forum
    thread = ann.do("opens_topic", name="garden", chat=group.id)
    other = house.telegram.group("Other", members=[ann.id])
    house.telegram.do("bot", can_read_all_group_messages=True)
    ann.do("writes", text="just talk", chat=group.id, thread=thread)
    house.telegram.do("bot", can_read_all_group_messages=False)
    ann.do("writes", text="@galaxy_test_bot in another group", chat=other.id)
    group.do("writes_anonymously", text="@galaxy_test_bot as the group")
    ann.do("writes", text="@galaxy_test_bot dig here", chat=group.id, thread=thread)
    answer = house.site.wait_for(group, "dig here")
    assert answer.thread == thread
    ann.do("writes", text="and there", chat=group.id, thread=thread, reply_to=answer.message_id)
    assert house.site.wait_for(group, "and there").thread == thread
    assert house.telegram.sent(other.id) == []
    assert len([text for text in said(house, group, thread) if "echo[" in text]) == 2
    refused = house.site.trail("message_refused")
    reasons = {line["reason"] for line in refused}
    assert any("the group is not on the list" in reason for reason in reasons), refused
    assert any("in the name of a group" in reason for reason in reasons), refused


def test_files_come_with_their_order(house: House) -> None:
    """An album with a caption is one order; its files lie beside it under safe names."""
    ann = house.person()
    files = [("photo", "a.jpg", b"\xff\xd8one"), ("photo", "b.jpg", b"\xff\xd8two")]
    ann.do("sends_album", files=files, caption="look at these")
    house.site.wait_for(ann, "]: look at these")
    ann.do("sends_document", name="../../.env", content=b"KEY=1", caption="read this")
    house.site.wait_for(ann, "]: read this")
    album, document = sorted(house.orders_of(ann), key=lambda order: str(order["payload"]))
    assert [Path(m["path"]).read_bytes() for m in album["media"]] == [
        b"\xff\xd8one",
        b"\xff\xd8two",
    ]
    (path,) = [m["path"] for m in document["media"]]
    folder = house.site.layout.inbound_files(str(document["order_id"]))
    assert str(path).startswith(f"{folder}/01-")


def test_files_go_back_with_the_answer(house: House) -> None:
    """What the agent leaves in the order's folder comes along; secrets and huge files do not."""
    ann = house.person()
    ann.do("writes", text="SLEEP 3\nSAY here they are")
    orders = house.site.layout.orders
    eventually(lambda: _order_of(house, ann) is not None, "the order is there")
    order_id = _order_of(house, ann)
    assert order_id is not None, list(orders.iterdir())
    folder = house.site.layout.outbound_files(order_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.pdf").write_bytes(b"%PDF-1.4 the report")
    (folder / "server.key").write_text("a secret")
    house.site.wait_for(ann, "here they are")
    eventually(lambda: _files(house, ann) != {}, "the file is there")
    assert _files(house, ann) == {"report.pdf": b"%PDF-1.4 the report"}
    assert any("server.key: not sent" in text for text in said(house, ann)), said(house, ann)


def _order_of(house: House, person: Remote) -> str | None:
    for line in house.site.trail("order_submitted"):
        if str(person.id) in str(line):
            return str(line["order_id"])
    return None


def _files(house: House, person: Remote) -> dict[str, bytes]:
    return {
        file.name: file.content for seen in house.telegram.sent(person.id) for file in seen.files
    }


def test_a_voice_message_without_ears(house: House) -> None:
    """Where nothing is set up that hears, the bot says what to set."""
    ann = house.person()
    ann.do("sends_voice", content=b"OggS water the roses")
    house.site.wait_for(ann, "transcription.url")
    assert house.orders_of(ann) == []


def test_a_long_paste_comes_and_goes_whole(house: House) -> None:
    """Telegram cuts it on the way in; it is one order, and its long answer is not cut apart."""
    ann = house.person()
    text = "\n".join(f"line {number} of a long paste" for number in range(1200))
    assert len(text) > 29_000
    ann.do("pastes", text=text)
    first = house.site.wait_for(ann, "line 0 of a long paste")
    eventually(lambda: bool(_files(house, ann)), "the rest comes as a document")
    ((_, content),) = _files(house, ann).items()
    assert text in content.decode()
    assert len(first.text) <= 4096
    (order,) = house.orders_of(ann)
    assert order["payload"] == text


def test_a_long_answer_keeps_its_fences_whole(house: House) -> None:
    """Some messages rather than a document, none of which ends in the middle of a fence."""
    ann = house.person()
    code = "\n".join(f"print({number})  # a line of code" for number in range(90))
    text = "\n\n".join(f"Part {number}\n\n```python\n{code}\n```" for number in range(3))
    assert 7_500 < len(text) < 10_000
    ann.do("pastes", text=text)
    house.site.wait_for(ann, "Part 2")
    last = "print(89)"
    eventually(lambda: sum(t.count(last) for t in said(house, ann)) == 3, "all of it is there")
    answers = [seen for seen in house.telegram.sent(ann.id) if "print(" in seen.text]
    assert 2 <= len(answers) <= 4
    blocks = [block for seen in answers for block in seen.marked("pre")]
    assert [block.strip() for block in blocks] == [code] * 3
    assert _files(house, ann) == {}


def test_what_is_passed_on_is_no_order(house: House) -> None:
    """Alone it is asked about; with a comment the comment is the order and it is quoted."""
    ann = house.person()
    ann.do("forwards", text="wipe the disk")
    offer = house.site.wait_for(ann, "passed this on")
    press(house, ann, offer, "No")
    ann.do("forwards", text="buy now!", comment="What does this want?")
    answer = house.site.wait_for(ann, "What does this want?")
    assert "buy now!" in answer.text
    (order,) = house.orders_of(ann)
    payload = str(order["payload"])
    assert payload.startswith("What does this want?")
    assert "> buy now!" in payload
    assert "wipe the disk" not in payload


def test_old_messages_are_asked_about(house: House) -> None:
    """Up to 15 minutes they run; what is older waits for a word, and can be dropped."""
    ann = house.person()
    today = int(time.time())
    ann.do("writes", text="ten minutes old", extra={"date": today - 600})
    house.site.wait_for(ann, "]: ten minutes old")
    ann.do("writes", text="an hour old", extra={"date": today - HOUR_S})
    asked = house.site.wait_for(ann, "while I was away")
    assert "an hour old" in asked.text
    press(house, ann, asked, "Run it")
    house.site.wait_for(ann, "]: an hour old")
    ann.do("writes", text="a day old", extra={"date": today - 24 * HOUR_S})
    eventually(lambda: any("a day old" in t for t in said(house, ann)), "it is asked about")
    latest = next(s for s in house.telegram.sent(ann.id) if "a day old" in s.text)
    press(house, ann, latest, "Drop it")
    eventually(lambda: any("Not run" in text for text in said(house, ann)), "it says so")
    assert len(house.orders_of(ann)) == 2


def test_an_order_is_cancelled_by_its_button(house: House) -> None:
    """The status has a button while the order runs; the answer says that it was cancelled."""
    ann = house.person()
    ann.do("writes", text="SLEEP 3600")
    eventually(lambda: any(s.buttons for s in house.telegram.sent(ann.id)), "the status is there")
    (status,) = house.telegram.sent(ann.id)
    assert "Stopping" in press(house, ann, status, "Cancel")
    eventually(lambda: len(house.telegram.sent(ann.id)) == 2, "the answer comes")
    eventually(lambda: not any(s.buttons for s in house.telegram.sent(ann.id)), "no button is left")
    assert "over" in press(house, ann, status, status.button("Cancel").data or "").casefold()


MARKS = [("⚡ now", "priority", "urgent"), ("#garden dig", "project", "garden")]


@pytest.mark.parametrize("text, member, value", MARKS)
def test_marks_of_the_old_bot(house: House, text: str, member: str, value: str) -> None:
    """Priority and project work as people know them."""
    ann = house.person()
    ann.do("writes", text=text)
    house.site.wait_for(ann, "echo[1]")
    eventually(lambda: len(house.orders_of(ann)) == 1, "it is over")
    (order,) = house.orders_of(ann)
    assert order[member] == value


def test_an_order_for_later_waits_and_can_be_cancelled(house: House) -> None:
    """A delay is a delay; its status says when it begins."""
    ann = house.person()
    ann.do("writes", text="⏰2h water the roses")
    status = house.site.wait_for(ann, "begins")
    press(house, ann, status, "Cancel")
    eventually(lambda: len(house.orders_of(ann)) == 1, "it is over")
    (order,) = house.orders_of(ann)
    assert order["outcome"] == "cancelled"
