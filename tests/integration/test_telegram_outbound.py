"""The way out of the Telegram channel, on the local Bot API server: what goes wrong, and how."""

import logging
import struct
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters.channel_telegram import OutgoingRules, TelegramConfig
from galaxy_adapters.channel_telegram._api import BotApi
from galaxy_adapters.channel_telegram._outbound import Outbound
from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    GalaxyError,
    PermanentError,
    TransientError,
)
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Button, ButtonStyle, LetterFormat, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Draft, Notice, PressAnswered, Typing
from galaxy_core.ports.command_menu import MenuEntry
from galaxy_core.testing.bot_api import BotApiServer, Fault, Group, Person
from galaxy_core.testing.factories import make_letter, make_status
from galaxy_core.testing.memory import ManualClock

MARKDOWN = LetterFormat.MARKDOWN


@pytest.fixture
async def server() -> AsyncIterator[BotApiServer]:
    """A server with nobody on it."""
    async with BotApiServer() as server:
        yield server


@pytest.fixture
def config(server: BotApiServer) -> TelegramConfig:
    """The bot of that server, impatient."""
    return TelegramConfig(
        token=server.token,
        base_url=server.base_url,
        base_file_url=server.base_file_url,
        patience=timedelta(seconds=1),
    )


@pytest.fixture
async def outbound(config: TelegramConfig, tmp_path: Path) -> AsyncIterator[Outbound]:
    """What writes to it; may send files of `tmp_path`."""
    rules = OutgoingRules(roots=(tmp_path,), largest_bytes=12 << 20)
    async with BotApi(config) as api:
        yield Outbound("telegram", api, ManualClock(), rules)


@pytest.fixture
def ann(server: BotApiServer) -> Person:
    """Somebody who writes to the bot."""
    return server.person("Ann")


def _at(room: Person | Group, topic: int | None = None) -> Address:
    return Address(
        channel="telegram", chat_id=str(room.id), topic=None if topic is None else str(topic)
    )


async def _send(outbound: Outbound, address: Address, **letter: object) -> Receipt:
    return await outbound.send(make_letter(**letter), address, 1, is_repeat=False)


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sum_

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IEND", b"")


# ---- what a failure means


@pytest.mark.parametrize(
    "fault",
    [
        Fault("error", status=500),
        Fault("error", status=503),
        Fault("flood", retry_after=7),
        Fault("unauthorized"),
        Fault("not_found"),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
async def test_refused_call_did_not_happen(
    outbound: Outbound, server: BotApiServer, ann: Person, fault: Fault
) -> None:
    """What Telegram itself refuses for now can be sent again without a mark."""
    server.plan(fault)
    with pytest.raises(TransientError) as caught:
        await _send(outbound, _at(ann))
    assert not isinstance(caught.value, DeliveryUnknown)
    wait = timedelta(seconds=7) if fault.kind == "flood" else None
    assert caught.value.retry_after == wait
    assert server.texts(ann) == []


@pytest.mark.parametrize("kind", ["cut_after", "html_after", "hang_after", "cut_body"])
async def test_call_without_an_answer_is_unknown(
    outbound: Outbound, server: BotApiServer, ann: Person, kind: str
) -> None:
    """The message is there, and nobody could know: it is not sent again by the channel."""
    server.plan(Fault(kind))
    with pytest.raises(DeliveryUnknown):
        await _send(outbound, _at(ann))
    assert len(server.texts(ann)) == 1


@pytest.mark.parametrize("kind", ["cut_before", "html", "hang"])
async def test_call_that_vanished_is_unknown_too(
    outbound: Outbound, server: BotApiServer, ann: Person, kind: str
) -> None:
    """From this side it looks like the other case."""
    server.plan(Fault(kind))
    with pytest.raises(DeliveryUnknown):
        await _send(outbound, _at(ann))
    assert server.texts(ann) == []


async def test_server_that_is_down_got_nothing(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """Without a connection nothing was sent, which is certain."""
    await server.stop()
    with pytest.raises(TransientError) as caught:
        await _send(outbound, _at(ann))
    assert not isinstance(caught.value, DeliveryUnknown)


async def test_lost_answer_to_an_edit_is_only_transient(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """The same edit twice is one edit, and the second is no failure."""
    shown = await outbound.show(Notice(text="one"), _at(ann), None)
    server.plan(Fault("cut_after"))
    with pytest.raises(TransientError) as caught:
        await outbound.show(Notice(text="two"), _at(ann), shown)
    assert not isinstance(caught.value, DeliveryUnknown)
    assert await outbound.show(Notice(text="two"), _at(ann), shown) == shown
    assert server.texts(ann) == ["two"]


@pytest.mark.parametrize("leave", [Person.blocks, Person.vanishes])
async def test_chat_that_is_over(
    outbound: Outbound, ann: Person, leave: Callable[[Person], None]
) -> None:
    """Blocked, or gone: nobody tries again."""
    leave(ann)
    with pytest.raises(ChatUnreachable):
        await _send(outbound, _at(ann))


async def test_chat_that_never_was(outbound: Outbound) -> None:
    """A number that nobody has."""
    with pytest.raises(ChatUnreachable):
        await _send(outbound, Address(channel="telegram", chat_id="123"))
    with pytest.raises(ChatUnreachable):
        await _send(outbound, Address(channel="telegram", chat_id="nonsense"))


async def test_kicked_out_of_a_group(outbound: Outbound, server: BotApiServer, ann: Person) -> None:
    """A group that does not want us is unreachable as well."""
    group = server.group("Team", ann)
    group.kicks_bot(ann)
    with pytest.raises(ChatUnreachable):
        await _send(outbound, _at(group))


async def test_group_that_has_moved_is_followed(
    outbound: Outbound, server: BotApiServer, ann: Person, tmp_path: Path
) -> None:
    """A group that became a supergroup has another id: the letter goes there, and the next too."""
    group = server.group("Team", ann, kind="group")
    new = group.upgrades()
    (tmp_path / "ok.txt").write_text("fine" * 100_000)
    for _ in range(2):
        receipt = await _send(outbound, _at(group), message="", files=("ok.txt",))
        assert receipt.chat_id == str(group.id)
    assert [len(file.content) for message in server.sent(new) for file in message.files] == [
        400_000,
        400_000,
    ]
    assert [call.status for call in server.calls("sendDocument")] == [400, 200, 200]
    await outbound.hint(Typing(), _at(group))
    assert new.chat.actions == ["typing"]


async def test_topic_that_is_gone_costs_the_topic_only(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """The answer is shown in the chat where its topic is closed or unknown."""
    group = server.group("Forum", ann, is_forum=True)
    topic = ann.opens_topic("one", chat=group)
    await _send(outbound, _at(group, topic), message="in")
    ann.closes_topic(topic, chat=group)
    await _send(outbound, _at(group, topic), message="out")
    await outbound.show(Notice(text="card"), _at(group, 9999), None)
    assert [message.thread for message in server.sent(group)] == [topic, None, None]


async def test_refused_entities_cost_the_form_only(
    outbound: Outbound, ann: Person, server: BotApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the server find fault with our entities, the text is sent without them."""
    wrong = [{"type": "bold", "offset": 0, "length": 9_999}]
    monkeypatch.setattr(
        "galaxy_adapters.channel_telegram._text.RichText.entities", lambda _rich: wrong
    )
    await _send(outbound, _at(ann), message="hello")
    (message,) = server.sent(ann)
    assert message.text.endswith("hello")
    assert message.entities == ()


async def test_refusal_is_permanent(outbound: Outbound, ann: Person) -> None:
    """What can never be sent is not tried for ever: a button with more than Telegram carries."""
    with pytest.raises(PermanentError) as caught:
        await _send(outbound, _at(ann), buttons=((Button("x", "y" * 65),),))
    assert not isinstance(caught.value, ChatUnreachable)


async def test_part_that_a_letter_does_not_have(outbound: Outbound, ann: Person) -> None:
    """A number out of range is a bug somewhere, and sends nothing."""
    with pytest.raises(PermanentError):
        await outbound.send(make_letter(), _at(ann), 2, is_repeat=False)


# ---- what is sent


async def test_first_part_answers_and_last_part_asks(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """The answer hangs at the question; the buttons stand where reading ends, with their colour."""
    asked = ann.writes("question")
    buttons = ((Button("Yes", "y", ButtonStyle.POSITIVE), Button("No", "n", ButtonStyle.NEGATIVE)),)
    letter = make_letter(
        message="word " * 1_500,
        chat_id=str(ann.id),
        reply_to=str(asked["message_id"]),
        buttons=buttons,
        format=MARKDOWN,
        sender="",
    )
    receipts = [await outbound.send(letter, _at(ann), part, is_repeat=False) for part in (1, 2)]
    assert [receipt.is_last for receipt in receipts] == [False, True]
    first, last = server.sent(ann)
    assert (first.reply_to, last.reply_to) == (asked["message_id"], None)
    assert first.buttons == ()
    assert [(b.data, b.style) for row in last.buttons for b in row] == [
        ("y", "success"),
        ("n", "danger"),
    ]


async def test_question_that_is_gone_is_answered_all_the_same(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """The person deleted it, or it never was: the answer is sent without."""
    for reply_to in ("999999", "nonsense"):
        await _send(outbound, _at(ann), chat_id=str(ann.id), reply_to=reply_to)
    assert [message.reply_to for message in server.sent(ann)] == [None, None]


async def test_photos_and_documents(
    outbound: Outbound, server: BotApiServer, ann: Person, tmp_path: Path
) -> None:
    """Pictures are shown, other files are kept as they are; neighbours are one album."""
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(_png(20, 10))
    (tmp_path / "c.csv").write_text("1,2")
    letter = make_letter(message="", files=("a.png", "b.png", "c.csv"))
    first = await outbound.send(letter, _at(ann), 1, is_repeat=False)
    await outbound.send(letter, _at(ann), 2, is_repeat=False)
    messages = server.sent(ann)
    assert [message.files[0].kind for message in messages] == ["photo", "photo", "document"]
    assert len(first.message_ids) == 2
    assert messages[0].group == messages[1].group is not None
    assert messages[2].files[0].content == b"1,2"


@pytest.mark.parametrize("names", [("x.png",), ("ok.png", "x.png")])
@pytest.mark.parametrize(
    "content", [_png(9_000, 9_000), b"no picture", _png(9, 9) + b"x" * (10 << 20)]
)
async def test_picture_that_telegram_does_not_show_is_a_document(
    outbound: Outbound,
    server: BotApiServer,
    ann: Person,
    tmp_path: Path,
    names: tuple[str, ...],
    content: bytes,
) -> None:
    """Sides, format and size have limits for photos; the file still arrives, whole."""
    (tmp_path / "ok.png").write_bytes(_png(20, 10))
    (tmp_path / "x.png").write_bytes(content)
    await _send(outbound, _at(ann), message="", files=names)
    sent = [file for message in server.sent(ann) for file in message.files]
    assert [file.kind for file in sent] == ["document"] * len(names)
    assert sent[-1].content == content


async def test_file_that_stays_is_named_in_its_part(
    outbound: Outbound, server: BotApiServer, ann: Person, tmp_path: Path
) -> None:
    """A file that is gone, secret or too large becomes a line; the part keeps its number."""
    (tmp_path / "ok.txt").write_text("fine")
    (tmp_path / "large.bin").write_bytes(b"x" * (13 << 20))
    (tmp_path / ".env").write_text("TOKEN=1")
    await _send(outbound, _at(ann), message="", files=("ok.txt", "gone.txt", "large.bin", ".env"))
    await _send(outbound, _at(ann), message="", files=("gone.txt",))
    with_file, without = server.sent(ann)
    assert [file.content for file in with_file.files] == [b"fine"]
    for name in ("gone.txt", "large.bin", ".env"):
        assert name in with_file.text
    assert "gone.txt" in without.text
    assert without.files == ()


async def test_repeat_of_files_is_marked(
    outbound: Outbound, server: BotApiServer, ann: Person, tmp_path: Path
) -> None:
    """Also what has no text of its own says that it may have come before."""
    (tmp_path / "ok.txt").write_text("fine")
    letter = make_letter(message="", files=("ok.txt",))
    await outbound.send(letter, _at(ann), 1, is_repeat=True)
    long = make_letter(message="word " * 10_000, format=LetterFormat.PLAIN)
    await outbound.send(long, _at(ann), 2, is_repeat=True)
    assert all("repeat" in message.text for message in server.sent(ann))


# ---- cards, hints, menus


async def test_status_comes_silently_below_its_order(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """A status wakes nobody up; it hangs at the message that asked for it."""
    asked = ann.writes("order")
    await outbound.show(make_status(reply_to=str(asked["message_id"])), _at(ann), None)
    (message,) = server.sent(ann)
    assert message.reply_to == asked["message_id"]
    (call,) = server.calls("sendMessage")
    assert call.arguments["disable_notification"] in (True, "true")


async def test_draft_grows_in_a_private_chat(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """One draft for each order, its end if it is long; groups have none."""
    order = OrderId("o")
    for text in ("**one**", "**one** two", "word " * 5_000 + "end"):
        await outbound.hint(Draft(order_id=order, text=text), _at(ann))
    (draft,) = ann.chat.drafts.values()
    assert draft["text"].endswith("end")
    assert len(server.calls("sendMessageDraft")) == 3
    group = server.group("Team", ann)
    await outbound.hint(Draft(order_id=order, text="x"), _at(group))
    assert len(server.calls("sendMessageDraft")) == 3


async def test_drafts_end_where_telegram_has_none(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """A server that does not know the method is asked once."""
    server.plan(Fault("not_found", method="sendMessageDraft", times=None))
    for _ in range(3):
        await outbound.hint(Draft(order_id=OrderId("o"), text="x"), _at(ann))
    assert len(server.calls("sendMessageDraft")) == 1


async def test_flooding_hints_are_told(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """Who pushes too hard hears how long to be silent; other failures are nobody's matter."""
    server.plan(Fault("flood", method="sendChatAction", retry_after=40))
    with pytest.raises(TransientError) as caught:
        await outbound.hint(Typing(), _at(ann))
    assert caught.value.retry_after == timedelta(seconds=40)
    server.plan(Fault("cut_before", method="sendChatAction"))
    await outbound.hint(Typing(), _at(ann))
    assert ann.chat.actions == []


async def test_press_is_answered(outbound: Outbound, server: BotApiServer, ann: Person) -> None:
    """The person sees what became of it, cut to what Telegram shows."""
    shown = await outbound.show(
        Notice(text="Sure?", buttons=((Button("Yes", "y"),),)), _at(ann), None
    )
    press_id = ann.presses(int(shown or 0), "y")
    await outbound.hint(PressAnswered(press_id=press_id, text="x" * 300, is_alert=True), _at(ann))
    answer = server.state.presses[press_id].answer
    assert answer == {"text": "x" * 200, "show_alert": True}


async def test_menu_of_a_stranger_is_skipped(
    outbound: Outbound, server: BotApiServer, ann: Person
) -> None:
    """Who never wrote to the bot keeps nobody else from their menu."""
    entry = MenuEntry("help", "What I can do")
    await outbound.publish([entry], {"123": [entry], str(ann.id): [entry]})
    assert set(server.state.commands) == {"default", f"chat {ann.id}"}


async def test_check_names_the_bot_or_the_trouble(outbound: Outbound, server: BotApiServer) -> None:
    """Whoever sets the bot up learns at once whether its token works."""
    assert (await outbound.check()).username == server.bot["username"]
    server.plan(Fault("unauthorized", method="getMe"))
    health = await outbound.check()
    assert health.username is None
    assert "token" in (health.problem or "")
    server.plan(Fault("html", method="getMe"))
    assert "reached" in ((await outbound.check()).problem or "")


# ---- the token


@pytest.mark.parametrize(
    "kind",
    [
        *("flood", "error", "html", "cut_before", "cut_after", "html_after", "hang"),
        *("cut_body", "conflict", "unauthorized", "not_found"),
    ],
)
async def test_token_is_in_no_error(
    outbound: Outbound,
    server: BotApiServer,
    ann: Person,
    caplog: pytest.LogCaptureFixture,
    kind: str,
) -> None:
    """No failure carries the token: not in its text, its traceback, a value's form, or a log."""
    caplog.set_level(logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    address = _at(ann)

    async def hello() -> object:
        return await _send(outbound, address)

    async def show() -> object:
        return await outbound.show(Notice(text="x"), address, None)

    calls: list[Callable[[], Awaitable[object]]] = [hello, show, outbound.check]
    told = repr(outbound)
    for call in calls:
        server.plan(Fault(kind))
        try:
            told += repr(await call())
        except GalaxyError as error:
            # What came before is cut off (`from None`): a log would print it too.
            told += "".join(traceback.TracebackException.from_exception(error).format())
            told += repr(error)
    secret = server.token.partition(":")[2]
    assert secret not in told
    assert secret not in caplog.text


async def test_token_is_not_in_the_forms_of_values(config: TelegramConfig) -> None:
    """Settings may be printed by anyone."""
    assert config.token not in repr(config)
    async with BotApi(config) as api:
        assert config.token not in repr(api)
