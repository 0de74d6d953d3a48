"""Reading updates."""

import contextlib
import json
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_adapters.channel_telegram._grouping import Grouping
from galaxy_adapters.channel_telegram._updates import Me, Reading, UnreadableUpdate, interpret
from galaxy_core.domain.message import (
    ButtonPressed,
    FileKind,
    Inbound,
    InboundMessage,
    Origin,
    Quote,
)
from tests.unit.galaxy_adapters.channel_telegram.updates import (
    ANN,
    BEN,
    BOT,
    BOT_ID,
    DATE,
    GROUP,
    NEWS,
    PRIVATE,
    Json,
    forward,
    message,
    photo,
    update,
)

AT = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
READING = Reading(
    me=Me(id=BOT_ID, username="galaxy_bot"), channel="telegram", key="telegram:1:1", received_at=AT
)


def read(**more: Any) -> InboundMessage:  # noqa: ANN401 - JSON
    """The message that such an update tells."""
    found = interpret(update(**more), READING)
    assert isinstance(found, InboundMessage)
    return found


def test_text() -> None:
    """A plain text comes as it is, with who, where and when."""
    assert read(text="hello *you* <b>") == InboundMessage(
        key="telegram:1:1",
        channel="telegram",
        chat_id="1001",
        sender_id="1001",
        sender_name="Ann Ångström",
        message_id="10",
        text="hello *you* <b>",
        sent_at=datetime.fromtimestamp(DATE, UTC),
    )


def test_name() -> None:
    """Who has no name is called by the username, or not at all."""
    assert read(text="a", sender={"id": 5, "is_bot": False, "username": "x"}).sender_name == "@x"
    assert read(text="a", sender={"id": 5, "is_bot": False}).sender_name == ""


def test_edit() -> None:
    """An edit is under the date of its message, by which its order is found."""
    found = interpret(
        {"update_id": 2, "edited_message": message(text="new", edit_date=DATE + 60)}, READING
    )
    assert isinstance(found, InboundMessage)
    assert (found.is_edit, found.message_id) == (True, "10")
    assert found.sent_at == datetime.fromtimestamp(DATE, UTC)


# ---- whom it is meant for


@pytest.mark.parametrize(
    "text, expected",
    [
        ("/status", "/status"),
        ("/status@galaxy_bot", "/status"),
        ("/order@Galaxy_Bot all run it", "/order all run it"),
        ("/order@galaxy_bot\nrun it", "/order\nrun it"),
    ],
)
def test_command(text: str, expected: str) -> None:
    """A command is for us if it names nobody else; our name is taken off."""
    found = read(text=text, chat=GROUP)
    assert (found.text, found.is_addressed) == (expected, True)


@pytest.mark.parametrize(
    "text",
    [
        "/status@other_bot",
        "/usr/bin/env python",
        "look at /status",
        "hello",
        "mail me@galaxy_bot.org",
        "/",
        "@galaxy_bot2 hello",
    ],
)
def test_not_for_us(text: str) -> None:
    """In a group, words that only look like a command or a mention are not for us."""
    found = read(text=text, chat=GROUP)
    assert (found.text, found.is_addressed) == (text, False)
    assert read(text=text).is_addressed  # in a private chat all is


def mention(offset: int, length: int = 11) -> Json:
    """An entity."""
    return {"type": "mention", "offset": offset, "length": length}


def test_mention() -> None:
    """A mention makes it ours; at the beginning it is only the address."""
    first = read(text="@galaxy_bot, run it", chat=GROUP, entities=[mention(0)])
    assert (first.text, first.is_addressed) == ("run it", True)
    later = read(text="👍🏽 run it @GALAXY_BOT", chat=GROUP, entities=[mention(12)])
    assert (later.text, later.is_addressed) == ("👍🏽 run it @GALAXY_BOT", True)
    alone = read(text="@galaxy_bot", chat=GROUP, entities=[mention(0)])
    assert (alone.text, alone.is_addressed) == ("@galaxy_bot", True)
    other = read(text="run it @another_bo", chat=GROUP, entities=[mention(7)])
    assert not other.is_addressed


def test_mention_by_id() -> None:
    """A mention without username counts by the id in it."""
    entity = {"type": "text_mention", "offset": 0, "length": 6, "user": BOT}
    assert read(text="Galaxy run it", chat=GROUP, entities=[entity]).is_addressed
    entity = entity | {"user": BEN}
    assert not read(text="Benny! run it", chat=GROUP, entities=[entity]).is_addressed


def test_mention_in_caption() -> None:
    """A caption is text in every way."""
    more = photo(caption="@galaxy_bot what is it?", caption_entities=[mention(0)])
    found = read(chat=GROUP, **more)
    assert (found.text, found.is_addressed) == ("what is it?", True)


def test_reply() -> None:
    """An answer to one of our messages is for us, and says which one is meant."""
    ours = message(sender=BOT, text="The disk is full.", chat=GROUP, message_id=9)
    found = read(text="clean it", chat=GROUP, reply_to_message=ours)
    assert (found.reply_to, found.is_addressed) == ("9", True)
    assert found.quotes == (Quote(text="The disk is full.", author="Galaxy"),)


def test_reply_to_a_long_answer() -> None:
    """Of a long message of ours the beginning tells which one it is."""
    ours = message(sender=BOT, text="word " * 800, message_id=9)
    (quote,) = read(text="and then?", reply_to_message=ours).quotes
    assert quote.text == "word " * 120 + "\u2026"


def test_reply_to_others() -> None:
    """An answer to somebody else quotes them, and is not for us by that."""
    bens = message(sender=BEN, text="it is broken", chat=GROUP, message_id=9)
    found = read(text="/order@galaxy_bot mend it", chat=GROUP, reply_to_message=bens)
    assert found.quotes == (Quote(text="it is broken", author="Ben"),)
    assert not read(text="mend it", chat=GROUP, reply_to_message=bens).is_addressed


def test_picked_quote() -> None:
    """The part of a message that the person picked is quoted, ours too."""
    ours = message(sender=BOT, text="one, two, three", message_id=9)
    found = read(text="this", reply_to_message=ours, quote={"text": "two", "position": 5})
    assert found.quotes == (Quote(text="two", author="Galaxy"),)


def test_external_reply() -> None:
    """An answer to a message of another chat quotes what can be known of it."""
    elsewhere = {"origin": {"type": "channel", "chat": NEWS, "message_id": 3, "date": DATE}}
    found = read(text="look", external_reply=elsewhere, quote={"text": "news", "position": 0})
    assert found.quotes == (Quote(text="news", author="News"),)
    found = read(text="look", external_reply=elsewhere | photo())
    assert found.quotes == (Quote(text="(photo)", author="News"),)
    found = read(text="look", external_reply=elsewhere)
    assert found.quotes == (Quote(text="(a message from another chat)", author="News"),)


def test_topic() -> None:
    """In a topic every message "answers" its opening, even one that the bot opened itself."""
    opening = message(sender=BOT, chat=GROUP, message_id=7, forum_topic_created={"name": "Backend"})
    more: Json = {"message_thread_id": 7, "is_topic_message": True, "reply_to_message": opening}
    found = read(text="hello", chat=GROUP, **more)
    assert (found.topic, found.reply_to, found.is_addressed) == ("7", None, False)
    assert found.quotes == ()


def test_thread_without_topic() -> None:
    """A reply thread of a group without topics is no topic; a private chat's topic is."""
    assert read(text="hello", chat=GROUP, message_thread_id=7).topic is None
    assert read(text="hello", message_thread_id=7).topic == "7"


# ---- who is behind it

FAKE_GROUP: Json = {"id": 1087968824, "is_bot": True, "first_name": "Group"}
FAKE_CHANNEL: Json = {"id": 136817688, "is_bot": True, "first_name": "Channel"}
TELEGRAM: Json = {"id": 777000, "is_bot": False, "first_name": "Telegram"}


@pytest.mark.parametrize(
    "more, origin, sender_id",
    [
        ({}, Origin.PERSON, "1001"),
        ({"sender": FAKE_GROUP, "sender_chat": GROUP}, Origin.ANONYMOUS_ADMIN, str(GROUP["id"])),
        ({"sender": FAKE_CHANNEL, "sender_chat": NEWS}, Origin.CHANNEL_POST, str(NEWS["id"])),
        (
            {"sender": TELEGRAM, "sender_chat": NEWS, "is_automatic_forward": True},
            Origin.CHANNEL_POST,
            str(NEWS["id"]),
        ),
        ({"sender": TELEGRAM}, Origin.CHANNEL_POST, "777000"),
        ({"via_bot": BOT}, Origin.BOT, "1001"),
        ({"sender": BOT | {"id": 5}}, Origin.BOT, "5"),
        ({"sender": {"id": 5, "first_name": "?"}}, Origin.BOT, "5"),
        ({"guest_query_id": "1"}, Origin.GUEST, "1001"),
        ({"business_connection_id": "1"}, Origin.BUSINESS, "1001"),
        ({"sender_business_bot": BOT}, Origin.BUSINESS, "1001"),
    ],
)
def test_origin(more: Json, origin: Origin, sender_id: str) -> None:
    """Only what a person wrote with their own hands is a person's; no made-up id is told."""
    found = read(text="run it", chat=GROUP, **more)
    assert (found.origin, found.sender_id) == (origin, sender_id)


def test_forward() -> None:
    """What was forwarded is quoted, is no text of the person, and addresses nobody."""
    found = read(text="/status", chat=GROUP, **forward())
    assert (found.text, found.is_addressed) == ("", False)
    assert found.quotes == (Quote(text="/status", author="Ben"),)


@pytest.mark.parametrize(
    "origin, author",
    [
        ({"type": "hidden_user", "sender_user_name": "Eve"}, "Eve"),
        ({"type": "chat", "sender_chat": GROUP}, "Team"),
        ({"type": "channel", "chat": NEWS, "message_id": 4}, "News"),
        ({"type": "of tomorrow"}, ""),
    ],
)
def test_forward_author(origin: Json, author: str) -> None:
    """A quote says whose words it has, if that can be known."""
    found = read(text="words", forward_origin=origin)
    assert found.quotes == (Quote(text="words", author=author),)


def test_forwarded_file() -> None:
    """A forwarded file is a forward, whatever it has of text."""
    document = {"file_id": "d", "file_name": "report.pdf", "file_size": 5}
    found = read(document=document, **forward())
    assert (found.text, found.quotes) == ("", (Quote(text="(report.pdf)", author="Ben"),))
    assert [file.is_passed_on for file in found.files] == [True]
    assert [file.is_passed_on for file in read(document=document).files] == [False]


# ---- what it holds


def test_photo() -> None:
    """Of a photo's sizes the largest is taken."""
    (file,) = read(**photo(caption="look")).files
    assert (file.id, file.kind, file.mime, file.size) == ("large", FileKind.PHOTO, "image/jpeg", 99)


@pytest.mark.parametrize(
    "content, kind, name, mime",
    [
        (
            {"document": {"file_id": "f", "file_name": "a.txt", "mime_type": "text/plain"}},
            FileKind.DOCUMENT,
            "a.txt",
            "text/plain",
        ),
        ({"voice": {"file_id": "f", "duration": 3}}, FileKind.VOICE, None, "audio/ogg"),
        (
            {"audio": {"file_id": "f", "file_name": "a.mp3", "mime_type": "audio/mpeg"}},
            FileKind.AUDIO,
            "a.mp3",
            "audio/mpeg",
        ),
        ({"video": {"file_id": "f", "duration": 3}}, FileKind.VIDEO, None, "video/mp4"),
        ({"video_note": {"file_id": "f", "length": 240}}, FileKind.VIDEO, None, "video/mp4"),
        (
            {"animation": {"file_id": "f"}, "document": {"file_id": "same"}},
            FileKind.VIDEO,
            None,
            "video/mp4",
        ),
        ({"sticker": {"file_id": "f"}}, FileKind.PHOTO, "sticker.webp", "image/webp"),
        (
            {"sticker": {"file_id": "f", "is_video": True}},
            FileKind.VIDEO,
            "sticker.webm",
            "video/webm",
        ),
        (
            {"sticker": {"file_id": "f", "is_animated": True}},
            FileKind.DOCUMENT,
            "sticker.tgs",
            "application/x-tgsticker",
        ),
    ],
)
def test_file(content: Json, kind: FileKind, name: str | None, mime: str) -> None:
    """Each kind of file comes once, with its name and type."""
    (file,) = read(**content).files
    assert (file.id, file.kind, file.name, file.mime) == ("f", kind, name, mime)


@pytest.mark.parametrize(
    "content, words",
    [
        ({"sticker": {"file_id": "f", "emoji": "👍"}}, "(sticker 👍)"),
        (
            {"contact": {"phone_number": "+1 555", "first_name": "Eve", "last_name": "X"}},
            "(contact: Eve X, +1 555)",
        ),
        (
            {"location": {"latitude": 52.516266, "longitude": 13.377775}},
            "(location: 52.516266, 13.377775)",
        ),
        (
            {
                "venue": {
                    "location": {"latitude": 1.5, "longitude": 2.5},
                    "title": "Gate",
                    "address": "Square 1",
                },
                "location": {"latitude": 1.5, "longitude": 2.5},
            },
            "(place: Gate, Square 1, at 1.5, 2.5)",
        ),
        (
            {"poll": {"question": "Tabs?", "options": [{"text": "yes"}, {"text": "no"}]}},
            "(poll: Tabs? yes / no)",
        ),
        ({"dice": {"emoji": "🎲", "value": 6}}, "(dice 🎲: 6)"),
        (
            {
                "checklist": {
                    "title": "Trip",
                    "tasks": [{"id": 1, "text": "pack", "completion_date": 1}, {"text": "go"}],
                }
            },
            "(checklist: Trip\n[x] pack\n[ ] go)",
        ),
        ({"story": {"chat": PRIVATE, "id": 1}}, "(story of Ann)"),
        ({"hologram": {"depth": 3}}, "(something that this bot cannot read: hologram)"),
    ],
)
def test_words(content: Json, words: str) -> None:
    """What is neither text nor file is told in words, also what no one knows yet."""
    assert read(**content).text == words


def test_link() -> None:
    """The address behind a word is shown, where it is not the word itself."""
    links = [
        {"type": "text_link", "offset": 0, "length": 2, "url": "https://a.example/"},
        {"type": "text_link", "offset": 7, "length": 4, "url": "https://b.example/"},
        {"type": "text_link", "offset": 12, "length": 7, "url": "x://y/z"},
    ]
    found = read(text="👍 see this x://y/z", entities=links)
    assert found.text == "👍 (https://a.example/) see this (https://b.example/) x://y/z"


# ---- what it does not hold


@pytest.mark.parametrize(
    "content",
    [
        {"new_chat_members": [BEN]},
        {"left_chat_member": BEN},
        {"pinned_message": {"message_id": 3, "date": 0, "chat": PRIVATE}},
        {"forum_topic_created": {"name": "x", "icon_color": 1}},
        {"migrate_to_chat_id": -100},
        {"video_chat_started": {}},
        {"message_auto_delete_timer_changed": {"message_auto_delete_time": 5}},
        {"group_chat_created": True},
        {"text": ""},
        {},
    ],
)
def test_service_message(content: Json) -> None:
    """What happens to a chat is nothing that somebody said."""
    assert interpret(update(chat=GROUP, **content), READING) is None


@pytest.mark.parametrize(
    "other",
    [
        {"my_chat_member": {"chat": PRIVATE, "from": ANN, "date": DATE}},
        {"channel_post": {"message_id": 1, "chat": NEWS, "date": DATE, "text": "news"}},
        {"edited_channel_post": {}},
        {"of_tomorrow": []},
        {},
    ],
)
def test_other_updates(other: Json) -> None:
    """Updates that tell the gateway nothing are passed over."""
    assert interpret({"update_id": 1} | other, READING) is None


@pytest.mark.parametrize(
    "content",
    [
        {"chat": {}},
        {"chat": {"id": "1"}},
        {"message_id": None},
        {"date": None},
        {"date": 10**17},
        {"sender": {}},
        {"sender": {"id": True}},
    ],
)
def test_unreadable(content: Json) -> None:
    """A message without chat, number, time or sender is unreadable, and its words are not told."""
    with pytest.raises(UnreadableUpdate) as caught:
        read(text="secret", **content)
    assert "secret" not in str(caught.value)


# ---- buttons


def press(**more: Any) -> Inbound | None:  # noqa: ANN401 - JSON
    """What pressing a button tells."""
    query: Json = {
        "id": "4382bfdwdsb323b2d9",
        "from": ANN,
        "chat_instance": "-1",
        "message": message(sender=BOT, message_id=12, text="Sure?"),
        "data": "a:1:0",
    }
    return interpret({"update_id": 3, "callback_query": query | more}, READING)


def test_press() -> None:
    """A press says who pressed what where; Telegram does not say when."""
    assert press() == ButtonPressed(
        key="telegram:1:1",
        channel="telegram",
        chat_id="1001",
        sender_id="1001",
        sender_name="Ann Ångström",
        sent_at=AT,
        data="a:1:0",
        press_id="4382bfdwdsb323b2d9",
        message_id="12",
    )


def test_press_in_topic() -> None:
    """A press in a topic of a group knows both."""
    found = press(
        message=message(
            sender=BOT, chat=GROUP, message_id=12, message_thread_id=7, is_topic_message=True
        )
    )
    assert isinstance(found, ButtonPressed)
    assert (found.is_group, found.topic) == (True, "7")


def test_press_on_something_gone() -> None:
    """A message that is too old to be shown still has its chat and number."""
    found = press(message={"chat": PRIVATE, "message_id": 12, "date": 0})
    assert isinstance(found, ButtonPressed)
    assert (found.chat_id, found.message_id) == ("1001", "12")


def test_press_elsewhere() -> None:
    """A press below a message that was sent through the bot in another chat is none of ours."""
    assert press(message=None, inline_message_id="x") is None
    with pytest.raises(UnreadableUpdate):
        press(**{"from": {}})


# ---- anything

KEYS = st.sampled_from(
    [
        *("message", "edited_message", "callback_query", "update_id", "chat", "from", "id"),
        *("message_id", "date", "text", "caption", "entities", "offset", "length", "type", "url"),
        *("photo", "document", "sticker", "file_id", "file_size", "reply_to_message", "quote"),
        *("forward_origin", "sender_chat", "message_thread_id", "poll", "options", "location"),
        *("external_reply", "origin", "media_group_id", "user", "contact", "dice", "checklist"),
    ]
) | st.text(string.ascii_lowercase, max_size=3)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-5, 5)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["private", "text_link", "mention", "@galaxy_bot", "\ud83d", "/a@galaxy_bot"])
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6)
)


@settings(max_examples=200)
@given(st.dictionaries(KEYS, ANYTHING, max_size=8))
def test_any_json(content: Json) -> None:
    """Whatever an update holds, reading it gives something, nothing, or the one error."""
    found = None
    with contextlib.suppress(UnreadableUpdate):
        found = interpret(content, READING)
    if isinstance(found, InboundMessage):
        json.dumps([found.text, found.sender_name, *(q.text for q in found.quotes)]).encode()
        found.text.encode()  # may be written down anywhere


@settings(max_examples=200)
@given(st.dictionaries(KEYS, ANYTHING, max_size=8))
def test_any_message(content: Json) -> None:
    """The same inside a message that has all that it needs."""
    whole = content | {key: message()[key] for key in ("message_id", "from", "chat", "date")}
    whole.pop("sender_chat", None)
    found = interpret({"update_id": 1, "message": whole}, READING)
    if isinstance(found, InboundMessage):
        found.text.encode()
    grouping = Grouping()
    heads = grouping.heads([(1, {"message": whole}), (2, {"message": whole})])
    assert set(heads) == {1, 2}
