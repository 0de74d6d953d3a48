"""What people do on the page, what they see, and what they cannot."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import anyio
import httpx
import pytest

from galaxy_adapters._web import OWNER, Site, WebAccess
from galaxy_adapters.channel_web import FOLDER, WebChannel, WebChannelConfig, routes
from galaxy_core.domain.errors import ChatUnreachable, StorageUnavailable
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Button, LetterFormat
from galaxy_core.domain.message import Address, ButtonPressed, FileKind, InboundMessage
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Draft, Notice, PressAnswered, Typing
from galaxy_core.testing.factories import make_letter, make_status
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink, MemoryNoteStore
from tests.unit.galaxy_adapters.channel_web.chat import (
    ANN,
    HASHED,
    Chat,
    decoded,
    history,
    new_key,
    say,
)

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
async def chat(tmp_path: Path) -> AsyncIterator[Chat]:
    """A chat that is open."""
    chat = Chat(tmp_path / "web")
    await chat.start()
    yield chat
    await chat.stop()


# ---- saying


async def test_message_sent_twice_is_one(chat: Chat) -> None:
    """The page repeats what it got no answer to; also at the same time, and after a restart."""
    key = new_key()
    answers = []

    async def send() -> None:
        answers.append((await say(chat.ann, "hello", key=key)).json())

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(send)
    await chat.stop()
    await chat.start()
    await send()
    assert sorted(answer["is_new"] for answer in answers) == [False] * 4 + [True]
    assert len({answer["message"]["id"] for answer in answers}) == 1
    assert [message["text"] for message in await history(chat.ann)] == ["hello"]
    assert isinstance(await chat.channel.receive(), InboundMessage)
    with anyio.move_on_after(0.05) as scope:
        await chat.channel.receive()
    assert scope.cancelled_caught


async def test_same_key_of_another_person_is_another_message(chat: Chat) -> None:
    """Nobody can take somebody else's key away, or find out that it was used."""
    key = new_key()
    for browser in (chat.ann, chat.ben):
        assert (await say(browser, "mine", key=key)).json()["is_new"]
    first, second = await chat.channel.receive(), await chat.channel.receive()
    assert (first.sender_id, second.sender_id) == ("ann", "ben")
    assert (first.chat_id, second.chat_id) == ("ann/general", "ben/general")


@pytest.mark.parametrize(
    "change,status",
    [
        ({"key": "short"}, 422),
        ({"key": "../../etc/passwd"}, 422),
        ({"key": None}, 422),
        ({"text": " \n"}, 422),
        ({"text": 5}, 422),
        ({"text": "x" * 100_001}, 413),
        ({"conversation": "nowhere"}, 404),
        ({"conversation": "../ben/general"}, 404),
        ({"conversation": ""}, 404),
    ],
    ids=str,
)
async def test_messages_that_are_none_are_refused(
    chat: Chat, change: dict[str, object], status: int
) -> None:
    """With a sentence; nothing is written."""
    content = {"key": new_key(), "conversation": "general", "text": "hello"} | change
    answer = await chat.ann.post("/messages", json=content)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert await history(chat.ann) == []


async def test_reply_and_inbox(chat: Chat) -> None:
    """A reply names its message; the inbox is the chat that has the person's own name."""
    content = {"key": new_key(), "conversation": "inbox", "text": "yes", "reply_to": "7"}
    assert (await chat.ann.post("/messages", json=content)).status_code == 202
    said = await chat.channel.receive()
    assert isinstance(said, InboundMessage)
    assert (said.reply_to, said.chat_id) == ("7", "ann")


async def test_letter_to_everybody_comes_to_the_inbox(chat: Chat) -> None:
    """A chat id without a conversation."""
    await chat.channel.send(make_letter(message="to all"), Address(channel="web", chat_id="ann"))
    assert ["to all" in m["html"] for m in await history(chat.ann, "inbox")] == [True]
    assert await history(chat.ben, "inbox") == []


# ---- pressing


async def test_forged_presses_are_refused(chat: Chat) -> None:
    """Only a button that stands below a message of one's own can be pressed."""
    card = Notice(text="Sure?", buttons=((Button("Yes", "a:1:0"),),))
    shown = await chat.channel.show(card, ANN)
    assert shown is not None
    presses = [
        (chat.ann, shown, "a:1:1", 409),
        (chat.ann, shown, "c:0123456789abcdef", 409),
        (chat.ben, shown, "a:1:0", 404),
        (chat.ann, "999", "a:1:0", 404),
        (chat.ann, "1 OR 1=1", "a:1:0", 404),
        (chat.ann, shown, "a:1:0", 202),
    ]
    for browser, message_id, data, status in presses:
        content = {"key": new_key(), "message_id": message_id, "data": data}
        assert (await browser.post("/presses", json=content)).status_code == status
    pressed = await chat.channel.receive()
    assert isinstance(pressed, ButtonPressed)
    assert (pressed.sender_id, pressed.data, pressed.address) == ("ann", "a:1:0", ANN)
    await chat.channel.show(Notice(text="Sure? Yes."), ANN, shown)
    content = {"key": new_key(), "message_id": shown, "data": "a:1:0"}
    assert (await chat.ann.post("/presses", json=content)).status_code == 409


async def test_press_sent_twice_is_one(chat: Chat) -> None:
    """A page without an answer presses again under the same key."""
    shown = await chat.channel.show(Notice(text="?", buttons=((Button("Y", "a"),),)), ANN)
    content = {"key": new_key(), "message_id": shown, "data": "a"}
    first, second = [(await chat.ann.post("/presses", json=content)).json() for _ in range(2)]
    assert first == second
    await chat.channel.confirm(await chat.channel.receive())
    assert (await chat.ann.post("/presses", json=content)).json() == first
    await chat.stop()
    await chat.start()
    await say(chat.ann, "next")
    assert isinstance(await chat.channel.receive(), InboundMessage)


# ---- other people


async def test_nobody_sees_what_is_anothers(chat: Chat) -> None:
    """Neither messages, nor conversations, nor files, whatever id is asked for."""
    await chat.ann.post("/conversations", json={"title": "Secret plan"})
    form = {"key": new_key(), "conversation": "secret-plan", "text": "hush"}
    answer = await chat.ann.post("/messages", data=form, files={"f": ("a.txt", b"secret")})
    url = answer.json()["message"]["files"][0]["url"]
    assert (await chat.ann.get(f"http://127.0.0.1{url}")).content == b"secret"
    assert (await chat.ben.get(f"http://127.0.0.1{url}")).status_code == 404
    assert (await chat.ben.get("/conversations/secret-plan/messages")).status_code == 404
    rename = await chat.ben.patch("/conversations/secret-plan", json={"title": "x"})
    assert rename.status_code == 404
    titles = [c["title"] for c in (await chat.ben.get("/conversations")).json()["conversations"]]
    assert sorted(titles) == ["General", "Inbox"]


async def test_events_go_to_all_pages_of_one_person(chat: Chat) -> None:
    """Two tabs get the same; other people's tabs get nothing."""
    with (
        chat.hub.subscribe("ann") as one,
        chat.hub.subscribe("ann") as two,
        chat.hub.subscribe("ben") as other,
    ):
        await say(chat.ann, "hello")
        await chat.channel.send(make_letter(message="hi"), ANN)
        await chat.channel.hint(Typing(), ANN)
        await chat.channel.hint(PressAnswered(press_id="p", text="Noted"), ANN)
        seen = [decoded(event) for event in await one.next()]
        assert [name for name, _ in seen] == ["message", "message", "typing", "press_answered"]
        assert [decoded(event) for event in await two.next()] == seen
        with anyio.move_on_after(0) as scope:
            await other.next()
        assert scope.cancelled_caught


async def test_person_who_is_unknown_is_unreachable(chat: Chat) -> None:
    """Letters and cards to nobody are given up; hints are dropped."""
    nobody = Address(channel="web", chat_id="zoe/general")
    with pytest.raises(ChatUnreachable):
        await chat.channel.send(make_letter(), nobody)
    await chat.channel.hint(Typing(), nobody)


@pytest.mark.parametrize("method,path", [("GET", "/conversations"), ("POST", "/messages")])
async def test_chat_needs_a_session(chat: Chat, method: str, path: str) -> None:
    """Not even the token of programs will do: nobody would be speaking."""
    chat.ann.cookies.clear()
    answer = await chat.ann.request(method, path, headers={"authorization": "Bearer t"})
    assert answer.status_code == 401


# ---- catching up


async def test_page_catches_up(chat: Chat) -> None:
    """Each thing that changed since, once, as it is now; after a restart too."""
    number = (await chat.ann.get("/conversations")).json()["number"]
    shown = await chat.channel.show(make_status(), ANN)
    for seconds in range(5):
        card = make_status(elapsed=timedelta(seconds=seconds))
        await chat.channel.show(card, ANN, shown)
    await chat.channel.send(make_letter(message="done"), ANN)
    await chat.ann.post("/conversations", json={"title": "New"})
    await chat.stop()
    await chat.start()
    missed = await chat.channel.desk.missed("ann", number)
    names = [decoded(event)[0] for event in missed]
    assert sorted(names) == ["conversation", "message", "message"]
    numbers = [event.number or 0 for event in missed]
    assert numbers == sorted(numbers)
    assert numbers[0] > number
    assert await chat.channel.desk.missed("ann", numbers[-1]) == []
    assert await chat.channel.desk.missed("ben", number) == []


async def test_page_that_is_ahead_loads_anew(chat: Chat) -> None:
    """A history that was set aside has smaller numbers; too many changes are not told singly."""
    for after in (1 << 60, 1):
        for _ in range(501 if after == 1 else 0):
            await chat.channel.show(Notice(text="x"), ANN)
        (event,) = await chat.channel.desk.missed("ann", after)
        assert decoded(event)[0] == "reset"
        assert await chat.channel.desk.missed("ann", event.number or 0) == []


async def test_live_text_is_there_after_a_reload(chat: Chat) -> None:
    """A page that is opened in the middle of an answer sees what is written; its end clears it."""
    order = OrderId("o-1")
    for text in ("**Once**", "**Once** upon"):
        await chat.channel.hint(Draft(order_id=order, text=text), ANN)
    (event,) = await chat.channel.desk.missed("ann", 0)
    assert decoded(event)[1]["html"] == "<p><strong>Once</strong> upon</p>\n"
    assert await chat.channel.desk.missed("ben", 0) == []
    await chat.channel.send(make_letter(order_id="o-1"), ANN)
    assert await chat.channel.desk.missed("ann", 0) == []
    await chat.channel.hint(Draft(order_id=order, text="late"), ANN)
    await chat.channel.show(make_status(order_id="o-1", state=OrderState.CANCELLED), ANN)
    assert await chat.channel.desk.missed("ann", 0) == []


async def test_history_is_read_page_by_page(chat: Chat) -> None:
    """Thousands of messages, fifty at a time, oldest first, none twice."""
    for number in range(120):
        await chat.channel.show(Notice(text=str(number)), ANN)
    seen: list[str] = []
    before = ""
    has_more = True
    while has_more:
        query = f"?before={before}" if before else ""
        found = (await chat.ann.get(f"/conversations/general/messages{query}")).json()
        seen = [message["text"] for message in found["messages"]] + seen
        before, has_more = found["messages"][0]["id"], found["has_more"]
    assert seen == [str(number) for number in range(120)]
    for wrong in ("x", "-1", "1e5"):
        answer = await chat.ann.get(f"/conversations/general/messages?before={wrong}")
        assert answer.status_code == 422


# ---- files


@pytest.mark.parametrize(
    "name,content,mime,way",
    [
        ("a.png", PNG, "image/png", "inline"),
        ("evil.png", b"<svg onload=alert(1)>", "application/octet-stream", "attachment"),
        ("a.svg", b"<svg onload=alert(1)>", "application/octet-stream", "attachment"),
        ("a.html", b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        ('a"\r\nx: y.txt', b"x", "application/octet-stream", "attachment"),
    ],
)
async def test_files_cannot_run(
    chat: Chat, tmp_path: Path, name: str, content: bytes, mime: str, way: str
) -> None:
    """Pictures by what is in them are shown, all else is downloaded; nothing is sniffed or run."""
    path = tmp_path / name
    path.write_bytes(content)
    await chat.channel.send(make_letter(files=(str(path),)), ANN)
    path.unlink()
    ((file,),) = [message["files"] for message in await history(chat.ann)]
    answer = await chat.ann.get(f"http://127.0.0.1{file['url']}")
    assert answer.content == content
    assert answer.headers["content-type"] == mime
    assert answer.headers["content-disposition"].startswith(f"{way}; filename*=UTF-8''")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "script" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "name", ["..%2f..%2fhistory.sqlite", "history.sqlite", "0" * 32, "%00", ""]
)
async def test_files_are_asked_for_by_id_only(chat: Chat, name: str) -> None:
    """Never by a path."""
    answer = await chat.ann.get(f"http://127.0.0.1/chat/files/{name}")
    assert answer.status_code in {400, 404}


async def test_files_that_cannot_be_had_are_named(chat: Chat, tmp_path: Path) -> None:
    """The letter comes all the same, and says which file is missing and why."""
    chat.config = WebChannelConfig(is_person=chat.config.is_person, file_bytes=10)
    await chat.stop()
    await chat.start()
    (tmp_path / "large.bin").write_bytes(bytes(11))
    paths = (str(tmp_path / "gone.txt"), str(tmp_path / "large.bin"), str(tmp_path))
    await chat.channel.send(make_letter(message="See", files=paths), ANN)
    ((message),) = await history(chat.ann)
    assert message["files"] == []
    for words in ("gone.txt cannot be read", "large.bin is too large", "is no file"):
        assert words in message["html"]


async def test_uploads_beyond_the_limits_are_refused(chat: Chat) -> None:
    """Too large, or too many; nothing is left of them, and no message."""
    chat.config = WebChannelConfig(is_person=chat.config.is_person, file_bytes=1000, files=2)
    await chat.stop()
    await chat.start()
    many = [("f", (f"{number}.txt", b"x")) for number in range(3)]
    for files in ([("f", ("big.bin", bytes(1001)))], many):
        form = {"key": new_key(), "conversation": "general", "text": "x"}
        answer = await chat.ann.post("/messages", data=form, files=files)
        assert answer.status_code == 413
    form = {"key": new_key(), "conversation": "nowhere", "text": "x"}
    answer = await chat.ann.post("/messages", data=form, files={"f": ("a", b"x")})
    assert answer.status_code == 404
    assert list((chat.folder / "files").iterdir()) == []
    assert await history(chat.ann) == []


async def test_picture_is_a_photo_to_the_gateway(chat: Chat) -> None:
    """By its content, not by what the browser says of it."""
    form = {"key": new_key(), "conversation": "general", "text": ""}
    files = [("f", ("a.png", PNG, "text/html")), ("f", ("b.png", b"x", "image/png"))]
    assert (await chat.ann.post("/messages", data=form, files=files)).status_code == 202
    said = await chat.channel.receive()
    assert isinstance(said, InboundMessage)
    assert [file.kind for file in said.files] == [FileKind.PHOTO, FileKind.DOCUMENT]


async def test_very_long_letter_is_a_beginning_and_a_file(chat: Chat) -> None:
    """Nobody's browser has to show a megabyte; nothing of it is lost."""
    text = "0123456789abcde\n" * 65_536
    await chat.channel.send(make_letter(message=text, format=LetterFormat.MARKDOWN), ANN)
    ((message),) = await history(chat.ann)
    assert len(message["html"]) < 30_000
    answer = await chat.ann.get(f"http://127.0.0.1{message['files'][0]['url']}")
    assert answer.text == text


# ---- conversations


async def test_conversations_are_made_and_named(chat: Chat) -> None:
    """Two of the same title are two; a title is what people see, the id is what is safe."""
    made = [
        (await chat.ann.post("/conversations", json={"title": title})).json()["conversation"]
        for title in ("Bug Hunt!", "Bug hunt", "🚀", "Inbox", "../..")
    ]
    assert [view["id"] for view in made] == ["bug-hunt", "bug-hunt-2", "chat", "inbox-2", "chat-2"]
    assert made[0]["title"] == "Bug Hunt!"
    answer = await chat.ann.patch("/conversations/chat", json={"title": " New \n name "})
    assert answer.json()["conversation"]["title"] == "New name"
    for title in ("", " ", "x" * 101, None, 5):
        assert (await chat.ann.post("/conversations", json={"title": title})).status_code == 422


async def test_conversations_have_a_limit(chat: Chat) -> None:
    """A runaway script does not fill the list."""
    chat.config = WebChannelConfig(is_person=chat.config.is_person, conversations=3)
    await chat.stop()
    await chat.start()
    statuses = [
        (await chat.ann.post("/conversations", json={"title": "x"})).status_code for _ in range(3)
    ]
    assert statuses == [201, 409, 409]


# ---- trouble


async def test_damaged_history_is_set_aside(chat: Chat) -> None:
    """The page opens with an empty past, the old one is kept, and people are told."""
    await say(chat.ann, "hello")
    await chat.stop()
    (chat.folder / "history.sqlite").write_bytes(b"no database" * 1000)
    await chat.start()
    assert await history(chat.ann) == []
    (incident,) = chat.incidents.incidents
    assert incident.kind == "history_set_aside"
    assert incident.is_for_people
    kept = [path.name for path in chat.folder.iterdir() if ".corrupt-" in path.name]
    assert kept


async def test_newer_history_is_left_alone(chat: Chat) -> None:
    """A program that was set back does not spoil what it cannot read."""
    await chat.stop()
    database = sqlite3.connect(chat.folder / "history.sqlite")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(StorageUnavailable, match="newer version"):
        await chat.start()


async def test_history_is_for_its_owner_only(chat: Chat) -> None:
    """Other users of the machine cannot read what was said."""
    form = {"key": new_key(), "conversation": "general", "text": ""}
    await chat.ann.post("/messages", data=form, files={"f": ("a", b"x")})
    for path in [chat.folder, *chat.folder.rglob("*")]:
        if path.is_dir() or path.name == "history.sqlite" or path.parent.name == "files":
            assert path.stat().st_mode & 0o077 == 0, path


async def test_demo_answers_say_so(chat: Chat) -> None:
    """Letters and cards carry the mark, what people say does not."""
    chat.config = WebChannelConfig(is_person=chat.config.is_person, is_demo=True)
    await chat.stop()
    await chat.start()
    await say(chat.ann, "hello")
    await chat.channel.send(make_letter(), ANN)
    await chat.channel.show(make_status(), ANN)
    assert [message["is_demo"] for message in await history(chat.ann)] == [False, True, True]


def test_owner_is_the_one_person_without_passwords() -> None:
    """Where nobody logs in, conversations are the owner's."""
    config = WebChannelConfig()
    assert config.is_person(OWNER)
    assert not config.is_person("ann")


@pytest.mark.parametrize("is_alone", [True, False])
async def test_chat_that_is_alone_is_the_first_page(tmp_path: Path, *, is_alone: bool) -> None:
    """Where no dashboard is served, the plain address leads somewhere."""
    clock = ManualClock()
    channel = WebChannel(tmp_path, clock, MemoryIncidentSink(), WebChannelConfig())
    site = Site(WebAccess(users={"ann": HASHED}), MemoryNoteStore(clock), clock, [FOLDER])
    app = site.application(routes(channel, site.pages, is_alone=is_alone))
    cookies = {"galaxy-session": await site.sessions.log_in("ann", "x", "127.0.0.1")}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1", cookies=cookies
    ) as browser:
        answer = await browser.get("/")
    assert (answer.status_code, answer.headers.get("location")) == (
        (303, "/chat") if is_alone else (404, None)
    )
